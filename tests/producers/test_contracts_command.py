"""`dermastream contracts`, as an integrator calls it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from producers.contracts import EVENTS, encode
from producers.contracts.examples import example
from tests.project.files import ROOT

pytestmark = pytest.mark.integration


def contracts(*words: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "flows.cli", "contracts", *words]
    return subprocess.run(command, cwd=ROOT, input=given, capture_output=True)


def answer(*words: str, given: bytes = b"", code: int = 0) -> Any:
    done = contracts(*words, given=given)
    assert (done.returncode, done.stderr) == (code, b"")
    return json.loads(done.stdout)


GOOD = encode(example("cartridge.opened.v1"))
OTHER = GOOD.replace(b"C-88201", b"C-88202")
BAD = GOOD.replace(b'"needle_count":12', b'"needle_count":"Jane Doe"')
FILE = b"\n".join([GOOD, b"", BAD, b"{", OTHER, GOOD, encode(example("telemetry.frame.v1")), b""])
REFUSED = [
    {
        "line": 3,
        "rule": "field.invalid",
        "path": "$.data.needle_count",
        "detail": "Expected `int`, got `str`",
    },
    {"line": 4, "rule": "json.invalid", "path": "$", "detail": "Input data was truncated"},
    {
        "line": 5,
        "rule": "id.conflict",
        "path": "$.id",
        "detail": "line 1 has another event with the same source and id",
    },
]


def test_a_refused_line_is_named_with_rule_path_and_reason(tmp_path: Path):
    """Line, JSON path, rule and reason for each refused line, no value of it, and exit code 1."""
    file = tmp_path / "events.ndjson"
    file.write_bytes(FILE)
    done = contracts("check", str(file))
    assert done.returncode == 1
    assert done.stdout.decode() == "3 of 6 good, 1 of them repeats, 3 refused\n"
    assert done.stderr.decode().splitlines() == [
        f"line {r['line']}: {r['rule']} at {r['path']}: {r['detail']}" for r in REFUSED
    ]


def test_a_check_for_machines():
    """One JSON document on standard output, also from standard input; types in the version sent."""
    assert answer("check", "-", "--json", given=FILE, code=1) == {
        "events": 6,
        "repeats": 1,
        "by_type": {"cartridge.opened.v1": 2, "telemetry.frame.v1": 1},
        "refused": REFUSED,
    }


def test_a_good_file_is_good():
    """An event of every type and version, each as `show --example` gives it, passes with exit code 0."""
    lines = b"\n".join(encode(example(type_)) for type_ in EVENTS)
    found = answer("check", "-", "--json", given=lines)
    assert (found["events"], found["refused"]) == (len(EVENTS), [])
    assert set(found["by_type"]) == set(EVENTS)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path):
    """Exit code 2, as `publish` has it."""
    for path in (tmp_path, tmp_path / "absent.ndjson"):
        done = contracts("check", str(path))
        assert (done.returncode, done.stdout) == (2, b"")
        assert done.stderr.decode().startswith(f"dermastream: cannot read {path}: ")


def test_every_type_is_listed():
    """Type, topics, key and table of all of them, and one line each for people."""
    listed = answer("list", "--json")
    assert [row["type"] for row in listed] == list(EVENTS)
    (row,) = [row for row in listed if row["type"] == "protocol.published.v2"]
    assert row["key"] == "<clinic>/protocol_published/<protocol_id>/<version>"
    assert row["table"] == "raw.protocol_published"
    printed = contracts("list").stdout.decode()
    assert all(type_ in printed for type_ in EVENTS)


def test_a_type_is_shown_with_its_limits_and_their_origin():
    """Fields with what they take and mean, for people and for machines; without a version, the newest."""
    shown = answer("show", "protocol.published", "--json")
    assert shown["type"] == "protocol.published.v2"
    fields = {field["name"]: field for field in shown["fields"]}
    assert fields["depth_mm"]["kind"] == "number from 0 to 3"
    assert fields["depth_mm"]["required"]
    assert not fields["steps"]["required"]
    assert "[S]" in fields["steps[].duration_min"]["meaning"]
    printed = contracts("show", "protocol.published").stdout.decode()
    assert all(name in printed for name in fields)
    assert "clinic.registry" in printed


def test_the_schema_shown_accepts_the_example_shown():
    """Both come out ready for use in another program."""
    type_ = "adverse-event.reported.v2"
    event = answer("show", type_, "--example")
    jsonschema.Draft202012Validator(answer("show", type_, "--schema")).validate(event)


def test_an_unknown_type_is_answered_with_a_near_one():
    """A typing error costs one more try, not a search."""
    done = contracts("show", "sesion.completed")
    assert done.returncode == 2
    assert b"did you mean session.completed?" in done.stderr


def test_every_rule_is_explained():
    """Whoever is refused can look up what to do."""
    explained = answer("rules", "--json")
    assert {row["rule"] for row in REFUSED} <= set(explained)
    printed = contracts("rules").stdout.decode()
    assert all(rule in printed for rule in explained)
