"""The compose file: hardened, ordered by health, and true to our settings. No engine runs it here."""

import json
import os
import re
import shutil
import subprocess
from typing import Any

import pytest
import yaml

from flows.cli import app
from flows.settings import Settings
from tests.project.files import ROOT

pytestmark = pytest.mark.unit

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ONE_SHOT = {"s3-bucket"}
SECRETS = {"POSTGRES_PASSWORD": "a1", "S3_SECRET_KEY": "b2", "PREFECT_AUTH": "dermastream:c3"}

each_service = pytest.mark.parametrize("name", SERVICES)


def test_every_part_is_there():
    """The parts of the design each have a service."""
    parts = {
        "kafka", "postgres", "s3", "prefect", "landing", "metrics", "metric-scheduler", "metric-worker",
        "dashboard", "mail", "simulator",
    }  # fmt: skip
    assert parts | ONE_SHOT == set(SERVICES)
    assert [name for name, service in SERVICES.items() if "profiles" in service] == ["simulator"]


@each_service
def test_a_service_has_a_health_check_or_ends(name: str):
    """Each service says how its health is asked for, except what runs once and ends."""
    assert ("healthcheck" in SERVICES[name]) is (name not in ONE_SHOT)
    if name not in ONE_SHOT:
        assert SERVICES[name]["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")


@each_service
def test_a_service_waits_for_health_and_not_for_a_start(name: str):
    """What a service needs must be healthy, or have ended well, before it starts."""
    for needed, how in SERVICES[name].get("depends_on", {}).items():
        expected = "service_completed_successfully" if needed in ONE_SHOT else "service_healthy"
        assert how == {"condition": expected}, needed


@each_service
def test_a_service_can_do_little_harm(name: str):
    """Each service is unprivileged, not root, read-only, without capabilities, and bounded."""
    service = SERVICES[name]
    assert not {"privileged", "cap_add", "devices", "network_mode", "pid", "ipc", "userns_mode"} & set(
        service
    )
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"])
    assert service["pids_limit"] <= 512
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])


@each_service
def test_a_service_keeps_state_in_named_volumes_only(name: str):
    """No folder of the host and no engine socket is mounted; each volume is declared."""
    for volume in SERVICES[name].get("volumes", []):
        assert volume.split(":")[0] in COMPOSE["volumes"]


@each_service
def test_an_image_has_an_exact_tag(name: str):
    """No image floats: each has a version of at least two numbers, never `latest`."""
    assert re.search(r":v?\d+\.\d+[\w.\-]*$", SERVICES[name]["image"])


def test_only_the_dashboard_is_published_and_to_this_machine():
    """One port leaves the network, on the loopback address."""
    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert ports == {"dashboard": ["127.0.0.1:8080:8080"]}
    assert COMPOSE["networks"]["inside"] == {"internal": True}


def test_our_services_use_settings_and_commands_that_exist():
    """Each of our variables is a setting with a good value, each command one of `dermastream`'s."""
    known = {Settings.variable(field) for field in Settings.model_fields}
    ours = {
        name: service for name, service in SERVICES.items() if service["image"].startswith("dermastream:")
    }
    others = {"prefect", "metric-scheduler", "metric-worker"}  # programs of the same image, not our command
    assert set(ours) == others | {"landing", "metrics", "dashboard", "simulator"}
    for name, service in ours.items():
        given = service["environment"]
        assert {variable for variable in given if variable.startswith("DERMASTREAM_")} <= known
        if name in others:
            continue
        assert app[service["command"][0]].help
        health = service["healthcheck"]["test"]
        assert health[1] == "python" or app[health[2]].help


def test_settings_load_as_the_containers_have_them(monkeypatch: pytest.MonkeyPatch):
    """The environment of the landing service is accepted, and means PostgreSQL and the object store."""
    for variable, value in SERVICES["landing"]["environment"].items():
        monkeypatch.setenv(variable, re.sub(r"\$\{(\w+):\?[^}]*\}", lambda match: SECRETS[match[1]], value))
    settings = Settings.load()
    assert settings.location.kind == "postgres"
    assert settings.location.data_path == "s3://lake/data/"
    assert settings.kafka_bootstrap_servers == "kafka:9092"


def test_no_secret_has_a_default():
    """Passwords come from the operator: without them the file is refused by name."""
    text = (ROOT / "docker-compose.yml").read_text()
    asked = set(re.findall(r"\$\{(\w+)", text))
    assert asked == set(SECRETS)
    assert re.findall(r"\$\{\w+(?!:\?|\w)", text) == []
    for service in SERVICES.values():
        for variable, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|SECRET|AUTH", variable):
                assert str(value).startswith("${"), variable


def test_the_object_stores_identities_are_json():
    """The identities given to the object store parse, with the operator's key in its place."""
    content = COMPOSE["configs"]["s3-identities"]["content"]
    (identity,) = json.loads(re.sub(r"\$\{S3_SECRET_KEY:\?[^}]*\}", "b2", content))["identities"]
    assert identity["credentials"] == [{"accessKey": "dermastream", "secretKey": "b2"}]
    assert SERVICES["landing"]["environment"]["AWS_ACCESS_KEY_ID"] == "dermastream"


def test_docker_accepts_the_file():
    """`docker compose config` takes the file as it is, and refuses it without the passwords."""
    if shutil.which("docker") is None or _docker("version", {}).returncode:
        pytest.skip("NOT CHECKED: no docker client with compose here; only its YAML was read")
    done = _docker("config", SECRETS)
    assert done.returncode == 0, done.stderr
    refused = _docker("config", {})
    assert refused.returncode != 0
    assert "is missing a value" in refused.stderr


def _docker(command: str, secrets: dict[str, str]) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in SECRETS}
    options = ["--profile", "simulator", "config", "-q"] if command == "config" else [command]
    return subprocess.run(
        ["docker", "compose", *options],
        cwd=ROOT,
        env=environment | secrets,
        capture_output=True,
        text=True,
    )


# ── the image ───────────────────────────────────────────────────────────────────────────────────────────

DOCKERFILE = (ROOT / "Dockerfile").read_text()


def test_the_image_is_built_from_the_lock_and_runs_as_nobody_in_particular():
    """Packages come with checked hashes, and the last stage runs as the compose file's user."""
    assert "pip install --require-hashes --no-deps -r .ci/requirements.lock" in DOCKERFILE
    assert re.findall(r"^USER (.*)$", DOCKERFILE, re.MULTILINE) == [SERVICES["landing"]["user"]]
    assert all(":" in base for base in re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE))


def test_the_build_sees_what_it_copies_and_nothing_else():
    """.dockerignore lets through exactly the sources that the Dockerfile copies."""
    ignore = (ROOT / ".dockerignore").read_text().split("\n")
    assert "*" in ignore
    copied = {
        source
        for line in re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE)
        for source in line.split()
    }
    assert {line[1:] for line in ignore if line.startswith("!")} == copied
    assert all((ROOT / source).exists() for source in copied)
