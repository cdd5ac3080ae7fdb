"""The analysts' remote door, as a real server process on a real warehouse."""

import concurrent.futures
import contextlib
import datetime as dt
import json
import os
import re
import ssl
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from dashboards import accounts
from dashboards.audit import Audit
from dashboards.door import tokens
from flows.settings import Settings
from producers.contracts import SettingsError
from tests.operations.lake import ANN, Lake

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
NOW = dt.datetime.now(dt.UTC)
COUNT = "SELECT count(*) AS n FROM raw.session_completed"
ENDLESS = "SELECT count(*) FROM range(10000000) AS a, range(10000000) AS b"


@dataclass(frozen=True)
class Answer:
    status: int
    text: str
    body: bytes
    headers: dict[str, str]


@dataclass(frozen=True)
class Client:
    """An analyst with a token."""

    url: str
    token: str
    tls: ssl.SSLContext | None = None

    def ask(self, sql: str, accept: str = "application/json") -> Answer:
        headers = {"Authorization": f"Bearer {self.token}", "Accept": accept}
        request = urllib.request.Request(f"{self.url}/query", sql.encode(), headers)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=60, context=self.tls) as got:  # noqa: S310
                return _answer(got.status, got)
        except urllib.error.HTTPError as error:
            with error:
                return _answer(error.code, error)

    def rows(self, sql: str) -> list[dict[str, object]]:
        got = self.ask(sql)
        assert got.status == 200, got.text
        return list(json.loads(got.body))


def _answer(status: int, got: object) -> Answer:
    body = got.read()  # type: ignore[attr-defined]
    return Answer(status, body.decode(errors="replace"), body, {k.lower(): v for k, v in got.headers.items()})  # type: ignore[attr-defined]


@contextlib.contextmanager
def served(home: Path, **settings: object) -> Iterator[str]:
    """`dermastream query serve` on a free port; its address."""
    environment = {f"DERMASTREAM_QUERY_{name.upper()}": str(value) for name, value in settings.items()}
    process = subprocess.Popen(
        [sys.executable, "-m", "flows.cli", "query", "serve", "--home", str(home)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        yield line.removeprefix("listening on ").strip()
    finally:
        process.terminate()
        process.wait(20)


def token_for(home: Path, name: str) -> str:
    file = home / "dashboard" / "accounts.sqlite"
    accounts.add_user(file, name, "a long enough password", "analyst", ())
    return tokens.issue(file, name, now=NOW, lasting=dt.timedelta(days=1))


@dataclass(frozen=True)
class Running:
    lake: Lake
    url: str

    def client(self, name: str) -> Client:
        return Client(self.url, token_for(self.lake.home, name))

    @property
    def audit(self) -> Audit:
        return Audit(self.lake.home / "dashboard" / "audit.sqlite")


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One server for this file, with small limits."""
    lake = Lake.under(tmp_path_factory.mktemp("door"))
    lake.land(0, 1)
    with served(lake.home, seconds=2, rows=1000, workers=3, memory_mb=256) as url:
        yield Running(lake, url)
    lake.connection.close()


def test_one_select_comes_back_in_each_format(door: Running):
    """Arrow for polars and pyarrow, CSV, and JSON hold the same rows; rows and snapshot are told."""
    ann = door.client("ann")
    sql = "SELECT id, skin_type, occurred_at FROM raw.session_completed ORDER BY id"
    arrow = ann.ask(sql, "application/vnd.apache.arrow.stream")
    frame = pl.read_ipc_stream(arrow.body)
    assert frame.height == 40
    assert pa.ipc.open_stream(arrow.body).read_all().num_rows == 40
    assert pl.read_csv(ann.ask(sql, "text/csv").body)["id"].equals(frame["id"])
    assert [row["skin_type"] for row in ann.rows(sql)] == frame["skin_type"].to_list()
    assert arrow.headers["dermastream-rows"] == "40"
    assert int(arrow.headers["dermastream-snapshot"]) > 0
    assert ann.rows("SELECT 1 WHERE false") == []


DENIED = [
    "INSERT INTO landing.progress SELECT 't', 0, 0, 'b', now(), 0",
    "WITH x AS (SELECT 1) INSERT INTO landing.progress SELECT 't', 0, 0, 'b', now(), 0",
    "DELETE FROM raw.session_completed",
    "CREATE TABLE mart.mine AS SELECT 1 AS a",
    "COPY (SELECT 1) TO '{home}/stolen.csv'",
    "COPY (SELECT 1) TO '{data}stolen.parquet'",
    "EXPORT DATABASE '{home}/stolen.csv'",
    "SELECT * FROM read_csv('/etc/hosts')",
    "SELECT * FROM read_text('/etc/hosts')",
    "SELECT * FROM read_blob('{home}/warehouse/catalog.sqlite')",
    "FROM '{data}**/*.parquet'",
    "ATTACH '{home}/stolen.csv'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET threads = 1",
    "RESET memory_limit",
    "PRAGMA database_size",
    "CALL ducklake_expire_snapshots('dermastream', versions => [1])",
    "SELECT * FROM ducklake_cleanup_old_files('dermastream', cleanup_all => true)",
    "FROM duckdb_databases",
    "FROM __ducklake_metadata_dermastream.ducklake_data_file",
    "SELECT getenv('HOME')",
    "SELECT 1; SELECT 2",
    "SELECT 1; DROP TABLE raw.session_completed",
    "BEGIN",
    "SELEKT",
]


def test_nothing_is_written_and_no_file_is_read(door: Running):
    """Each is refused in one line; the warehouse and its folder are as before."""
    before = door.lake.files(), door.lake.count("raw.session_completed")
    for number, text in enumerate(DENIED):
        if number % 20 == 0:
            ann = door.client(f"ann-{number}")
        got = ann.ask(text.format(home=door.lake.home, data=door.lake.location.data_path))
        assert (got.status, got.text.count("\n")) == (422, 1), (text, got)
        assert "Traceback" not in got.text
    assert (door.lake.files(), door.lake.count("raw.session_completed")) == before
    assert not (door.lake.home / "stolen.csv").exists()


def test_limits_end_a_statement_and_nobody_elses(door: Running):
    """Time, memory, rows; meanwhile and afterwards others are answered."""
    bob, eve = door.client("bob"), door.client("eve")
    with concurrent.futures.ThreadPoolExecutor() as threads:
        slow = threads.submit(bob.ask, ENDLESS)
        assert eve.rows(COUNT)
        assert (slow.result().status, slow.result().text) == (422, "stopped after 2 s, the time limit\n")
    many = bob.ask("FROM range(1001)")
    assert (many.status, many.text[:19]) == (422, "more than 1000 rows")
    assert len(bob.rows("FROM range(1000)")) == 1000
    if sys.platform == "linux":  # elsewhere the kernel's limit is not set: NOT tried there
        big = bob.ask("SELECT length(repeat('a', 3000000000))")
        assert big.status == 422, big
    assert bob.rows(COUNT) == eve.rows(COUNT)


def test_only_a_token_that_holds_opens(door: Running):
    """None, a wrong one, a replaced one, a revoked one, one that is over, one of a disabled account."""
    file = door.lake.home / "dashboard" / "accounts.sqlite"
    carl = door.client("carl")
    assert carl.rows("SELECT 1 AS one") == [{"one": 1}]
    again = Client(door.url, tokens.issue(file, "carl", now=NOW, lasting=dt.timedelta(days=1)))
    for refused in (Client(door.url, ""), Client(door.url, "dsq_wrong"), carl):
        assert refused.ask(COUNT).status == 401
    assert again.ask(COUNT).status == 200
    assert tokens.revoke(file, "carl")
    assert again.ask(COUNT).status == 401
    over = tokens.issue(file, "carl", now=NOW - dt.timedelta(days=2), lasting=dt.timedelta(days=1))
    assert Client(door.url, over).ask(COUNT).status == 401
    dora = door.client("dora")
    accounts.disable_user(file, "dora", now=NOW)
    assert dora.ask(COUNT).status == 401
    assert not any(token.encode() in file.read_bytes() for token in (carl.token, again.token, dora.token))


def test_only_analysts_get_a_token(door: Running):
    """The command says why not; issuing, listing and revoking work, and the list shows no token."""
    home = door.lake.home
    accounts.add_user(home / "dashboard" / "accounts.sqlite", "mia", "a long enough password", "admin", ())
    accounts.add_user(home / "dashboard" / "accounts.sqlite", "gus", "a long enough password", "analyst", ())

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "flows.cli", "query", *arguments, "--home", str(home)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert (run("issue", "mia").returncode, run("issue", "nobody").returncode) == (2, 2)
    token = run("issue", "gus").stdout.strip()
    assert Client(door.url, token).ask(COUNT).status == 200
    listed = run("tokens").stdout
    assert "gus" in listed
    assert token not in listed
    assert run("revoke", "gus").returncode == 0
    assert Client(door.url, token).ask(COUNT).status == 401
    assert run("revoke", "gus").returncode == 2
    said = run("log").stdout
    assert re.search(r"gus .* SELECT count\(\*\)AS _ FROM raw.session_completed", said), said


def test_the_log_says_who_asked_what_and_no_value(door: Running):
    """The statement without its values before it runs, its outcome after; a refusal without its text."""
    hal = door.client("hal")
    secret = ANN[:20]
    about_one = "SELECT skin_type FROM raw.session_completed WHERE patient_key = '?'"
    assert hal.ask(about_one.replace("?", secret)).status == 200
    assert hal.ask(f"SELECT '{secret}'::INTEGER").status == 422
    assert hal.ask(f"SELEKT {secret}").status == 422
    entries = [each for each in door.audit.newest(50) if each["account"] == "hal"][::-1]
    said = [re.sub(r"^[0-9a-f]{16} ", "", each["what"]) for each in entries]
    assert said[0] == "SELECT skin_type FROM raw.session_completed WHERE patient_key = ?"
    assert re.fullmatch(r"answered: 0 rows of snapshot \d+ in \d+\.\d\d s", said[1])
    assert said[2:] == ["SELECT ? INTEGER", "not answered", "not answered"]
    assert {each["action"] for each in entries} == {"query"}
    assert secret not in json.dumps(door.audit.newest(1000))
    assert door.audit.broken() is None


def test_what_is_asked_wrongly_is_said_in_a_line(door: Running):
    """No statement, one that is too long, no text, a format there is none of, another address."""
    ida = door.client("ida")
    assert ida.ask("").status == 400
    assert ida.ask("SELECT '" + "x" * 70_000 + "'").status == 413
    refused = ida.ask(COUNT, "image/png")
    assert (refused.status, refused.text.count("\n")) == (406, 1)
    assert (
        ida.ask("SELECT 'nan'::DOUBLE AS x").text == "JSON has no NaN and no infinity: ask for Arrow or CSV\n"
    )


def test_too_many_at_once_and_too_often_are_told_to_wait(door: Running):
    """A third statement of one analyst at the same time; a burst of more than sixty."""
    jan = door.client("jan")
    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        got = list(threads.map(lambda _: jan.ask(ENDLESS).status, range(4)))
    assert sorted(got) == [422, 422, 429, 429]
    kim = door.client("kim")
    statuses = [kim.ask("").status for _ in range(80)]
    assert set(statuses) == {400, 429}


def test_eight_analysts_while_landing_goes_on(door: Running):
    """No error on either side, and what they see only grows."""
    clients = [door.client(f"team-{number}") for number in range(8)]
    stop = threading.Event()

    def land() -> int:
        batch = 2
        while not stop.is_set():
            door.lake.land(batch)
            batch += 1
        return batch

    def ask(client: Client) -> list[int]:
        return [int(str(client.rows(COUNT)[0]["n"])) for _ in range(6)]

    with concurrent.futures.ThreadPoolExecutor(9) as threads:
        landing = threads.submit(land)
        seen = list(threads.map(ask, clients))
        stop.set()
        landed = landing.result()
    assert all(counts == sorted(counts) for counts in seen)
    assert max(max(counts) for counts in seen) <= landed * 20
    assert landed > 3


def certificate(folder: Path) -> tuple[Path, Path]:
    """Made by ourselves, for 127.0.0.1."""
    key, file = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(file),
         "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return file, key


def test_tls_and_the_readmes_own_lines(door: Running, tmp_path: Path):
    """With a certificate it speaks TLS only; the README's Python lines read from it."""
    file, key = certificate(tmp_path)
    token = token_for(door.lake.home, "lea")
    with served(door.lake.home, certificate_file=file, key_file=key, workers=1) as url:
        assert url.startswith("https://")
        assert Client(url, token, ssl.create_default_context(cafile=str(file))).rows(COUNT)
        with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
            Client(url, token).ask(COUNT)
        with pytest.raises(OSError):  # noqa: PT011 - whatever a TLS server does to plain HTTP
            Client(url.replace("https", "http"), token).ask(COUNT)
        (block,) = re.findall(r"```python\n([^`]*urllib[^`]*)```", (ROOT / "README.md").read_text())
        done = subprocess.run(
            [sys.executable, "-c", f"{block}\nprint(frame.height)"],
            env={**os.environ, "QUERY_URL": url, "QUERY_TOKEN": token, "SSL_CERT_FILE": str(file)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert int(done.stdout) >= 0


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"host": "0.0.0.0"}, "only with a certificate"),  # noqa: S104 - that is refused
        ({"certificate_file": "x.pem"}, "go together"),
        ({"rows": 0}, "DERMASTREAM_QUERY_ROWS"),
    ],
)
def test_settings_that_would_not_be_safe_are_refused(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, object], named: str
):
    """One line with the setting."""
    for name, value in settings.items():
        monkeypatch.setenv(f"DERMASTREAM_QUERY_{name.upper()}", str(value))
    with pytest.raises(SettingsError, match=named):
        Settings.load()


def test_a_certificate_that_cannot_be_read_is_named(tmp_path: Path):
    """One line with the file, exit code 2."""
    environment = {f"DERMASTREAM_QUERY_{kind}_FILE": f"{kind.lower()}.pem" for kind in ("CERTIFICATE", "KEY")}
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli", "query", "serve", "--home", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **environment},
    )
    assert done.returncode == 2
    assert re.fullmatch(r"dermastream: certificate certificate.pem.*\n", done.stderr), done.stderr


def test_no_warehouse_is_said(tmp_path: Path):
    """503 in one line, and the door opens as soon as there is one."""
    token = token_for(tmp_path, "max")
    with served(tmp_path, workers=1) as url:
        client = Client(url, token)
        got = client.ask("SELECT 1")
        assert (got.status, got.text[:12]) == (503, "no warehouse")
        Lake.under(tmp_path).connection.close()
        assert client.ask("SELECT 1").status == 200
