"""Exports as events: the shipped examples, every conversion, and what does not fit."""

import datetime as dt
import io
import json
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from flows.commands.gateway import app
from producers.contracts import ContractViolation, SettingsError, decode
from producers.gateway.folder import Files
from producers.gateway.intake import Intake
from producers.gateway.mapping import CsvMapping, Made, events_of, read_mapping
from producers.gateway.outbox import Outbox
from producers.gateway.pseudonyms import PatientPseudonyms
from tests.gateway.harness import GatewayProcess

pytestmark = pytest.mark.unit

NOW = dt.datetime(2026, 11, 25, 12, tzinfo=dt.UTC)
EXAMPLES = Path(str(resources.files("producers.gateway") / "examples"))

_COLUMNS = (
    "Number;Status;Customer;Therapist;Room device;Plan;Lot;Cartridge;Concern;Area;Skin;Age;Kind;No;"
    "Start;End;Depth um;Rate;Passes;Override"
)
_DONE = (
    "4711;done;K-10293;op-2;pen-3;face-basic;L77;C-001;Scars;Face;III;30-39;Course;2;"
    "20.11.2026 09:00;20.11.2026 09:40;1500;7200,5;4;no"
)
_OTHER = "{};{};K-20011;;;;;;;;;;;;20.11.2026 10:00;20.11.2026 10:40;;;;"
SESSIONS = "\n".join([_COLUMNS, _DONE, _OTHER.format(4712, "no-show"), _OTHER.format(4713, "cancelled")])
LOG = "sample,time_ms,pen,session,depth_um,strokes_per_min,current_ma,battery\n" + "".join(
    f"{n},{1795251600000 + 100 * n},pen-3,{'S-4711' if n < 15 else ''},{1490 + n},{7180 + n},310.5,81\n"
    for n in range(25)
)

MINIMAL = """
files = "*.csv"
{top}
[[events]]
type = "device.calibrated.v1"
id = "c-{{no}}"
time = {{ column = "at" {time} }}
{event}
[events.data]
device_id = "{{pen}}"
depth_error_mm = {{ column = "error" {error} }}
{data}
"""


def mapping(tmp_path: Path, **parts: str) -> CsvMapping:
    """A small mapping with these parts put in."""
    file = tmp_path / "mapping.toml"
    file.write_text(
        MINIMAL.format_map({**dict.fromkeys(("top", "time", "event", "error", "data"), ""), **parts})
    )
    return read_mapping(file)


def made(mapped: CsvMapping, text: str, encoding: str = "utf-8") -> list[Made]:
    return list(events_of(io.BytesIO(text.encode(encoding)), mapped, "north"))


def one(mapped: CsvMapping, at: str = "2026-11-20T09:00:00Z", error: str = "0.1") -> Any:
    """The event of one row, or what is wrong with it."""
    ((_, event),) = made(mapped, f'no,at,pen,error\n1,"{at}",pen-3,"{error}"\n')
    return event if isinstance(event, ContractViolation) else json.loads(event)


# ── the examples ────────────────────────────────────────────────────────────────────────────────────────


def taken(tmp_path: Path, name: str, text: str) -> list[dict[str, Any]]:
    """What the outbox would send of an export through a shipped example."""
    with Outbox(tmp_path / "outbox.sqlite") as outbox:
        files = Files(Intake(outbox, {"north": PatientPseudonyms(b"k" * 32)}), "north", 10**6, lambda: NOW)
        (tmp_path / "export.csv").write_text(text)
        report = files.take(tmp_path / "export.csv", read_mapping(EXAMPLES / name))
        assert (report.refused, report.stored) == (0, report.events), report.refusals
        again = files.take(tmp_path / "export.csv", read_mapping(EXAMPLES / name))
        assert (again.stored, again.repeated) == (0, report.stored)
        sent = outbox.unsent(100)
    return [json.loads(decode(event.value, topic=event.topic, key=event.key, now=NOW)[1]) for event in sent]


def test_the_booking_systems_sessions(tmp_path: Path):
    """Done and missed sessions become events in the clinic's own time; cancelled rows are passed over."""
    done, missed = taken(tmp_path, "booking-sessions.toml", SESSIONS)
    assert (done["id"], done["source"], done["type"]) == (
        "session-4711",
        "/clinics/north/booking",
        "session.completed.v1",
    )
    data = done["data"]
    assert data["started_at"] == "2026-11-20T09:00:00+01:00"
    assert (data["depth_mm"], data["stroke_rate_per_min"]) == (1.5, 7200.5)
    assert (data["skin_type"], data["phase"], data["contraindication_overridden"]) == (3, "series", False)
    assert data["patient_key"] == PatientPseudonyms(b"k" * 32).of("K-10293")
    assert (missed["type"], missed["data"]["session_id"]) == ("session.missed.v1", "S-4712")


def test_the_devices_log(tmp_path: Path):
    """Ten rows make a frame, numbered by the log's own count; an empty session is left out."""
    frames = taken(tmp_path, "device-log.toml", LOG)
    assert [frame["data"]["sequence"] for frame in frames] == [0, 1, 2]
    assert [len(frame["data"]["depth_mm"]) for frame in frames] == [10, 10, 5]
    assert frames[0]["data"]["depth_mm"][:2] == [1.49, 1.491]
    assert [frame["data"].get("session_id") for frame in frames] == ["S-4711", "S-4711", None]
    assert frames[1]["time"] == "2026-11-21T09:00:01Z"


# ── conversions ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("zone", "format_", "text", "expected"),
    [
        ("UTC", "iso", "2026-11-20 09:00", "2026-11-20T09:00:00+00:00"),
        ("Europe/Berlin", "iso", "2026-11-20T09:00:00", "2026-11-20T09:00:00+01:00"),
        ("Europe/Berlin", "iso", "2026-11-20T09:00:00Z", "2026-11-20T09:00:00+00:00"),
        ("Europe/Berlin", "%d.%m.%y %H:%M", "01.07.26 09:00", "2026-07-01T09:00:00+02:00"),
        ("Europe/Berlin", "iso", "2026-10-25 02:30", "2026-10-25T02:30:00+02:00"),  # runs twice: the first
        ("UTC", "epoch_s", "1795251600", "2026-11-21T09:00:00+00:00"),
        ("America/New_York", "epoch_ms", "1795251600500", "2026-11-21T09:00:00.500000+00:00"),
    ],
)
def test_times_are_the_clinics(tmp_path: Path, zone: str, format_: str, text: str, expected: str):
    """A time without an offset is local to the export's zone, summer or winter."""
    mapped = mapping(tmp_path, top=f'time_zone = "{zone}"', time=f', format = "{format_}"')
    assert one(mapped, at=text)["time"] == expected


@pytest.mark.parametrize("text", ["2026-03-29 02:30", "yesterday", "1795251600", "9999999"])
def test_no_time_is_guessed(tmp_path: Path, text: str):
    """A local time that the clocks skipped, or a text in another form, is refused by column and field."""
    violation = one(mapping(tmp_path, top='time_zone = "Europe/Berlin"'), at=text)
    assert (violation.rule, violation.path) == ("csv.value", "$.time")
    assert "`at`" in violation.detail
    assert text not in violation.detail


@pytest.mark.parametrize(
    ("top", "column", "text", "expected"),
    [
        ("", "", "0.1", 0.1),
        ("decimal_comma = true", "", "0,1", 0.1),
        ("", ", divide_by = 1000", "100", 0.1),
        ("", ", multiply_by = 25.4", "0.01", 0.254),
        ("", ", values = { none = 0.0, little = 0.1 }", "little", 0.1),
    ],
)
def test_numbers_as_the_export_writes_them(tmp_path: Path, top: str, column: str, text: str, expected: float):
    """Decimal commas, other units and words for numbers."""
    assert one(mapping(tmp_path, top=top, error=column), error=text)["data"]["depth_error_mm"] == expected


@pytest.mark.parametrize("text", ["", "x", "NaN", "Infinity", "1e999999", "0,1", "1.2.3"])
def test_no_number_is_guessed(tmp_path: Path, text: str):
    """Nothing but a plain number passes for one; an empty cell is named as empty."""
    violation = one(mapping(tmp_path), error=text)
    assert (violation.rule, violation.path) == (
        "csv.empty" if not text else "csv.value",
        "$.data.depth_error_mm",
    )


def test_an_untranslated_word_is_refused(tmp_path: Path):
    """With `values`, only those texts are known."""
    assert one(mapping(tmp_path, error=", values = { a = 0.1 }"), error="b").rule == "csv.value"


def test_encodings_and_quotes(tmp_path: Path):
    """Another encoding, a byte-order mark, quoted delimiters and line breaks, blank rows."""
    mapped = mapping(tmp_path, top='encoding = "cp1252"\ndelimiter = ";"')
    text = 'no;at;pen;error;Gerät\r\n1;2026-11-20T09:00Z;pen-3;0.1;"ä;\r\nö"\r\n;;;;\r\n'
    assert len(made(mapped, text, "cp1252")) == 1
    assert len(made(mapping(tmp_path), "\ufeffno,at,pen,error\n1,2026-11-20T09:00Z,p,0.1\n")) == 1


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"no,at,pen\n1,2,3\n", "csv.column"),
        (b"", "csv.column"),
        (b"no,at,pen,error\n1,\xff\xfe,3,4\n", "csv.encoding"),
        (b'no,at,pen,error\n1,"2\n', "csv.invalid"),
        (b"no,at,pen,error\n" + b"x" * 100_000, "csv.line"),
    ],
)
def test_a_file_that_is_no_such_export_is_refused(tmp_path: Path, content: bytes, rule: str):
    """A missing column, another encoding, broken quotes, an endless line: the whole file is refused."""
    with pytest.raises(ContractViolation) as refused:
        list(events_of(io.BytesIO(content), mapping(tmp_path), "north"))
    assert refused.value.rule == rule


@pytest.mark.parametrize(
    ("part", "text", "named"),
    [
        ("top", 'time_zone = "Mars/Olympus"', "Mars/Olympus"),
        ("top", 'encoding = "klingon"', "klingon"),
        ("top", 'delimiter = ";;"', "delimiter"),
        ("top", "speed = 1", "speed"),
        ("data", 'mood = "x"', "mood"),
        ("data", 'patient_reference = "x"', "patient_key"),
        ("event", 'group = { by = ["pen"], rows = 0 }', "group"),
        ("event", 'group = { by = ["pen"], rows = 2, same = ["device_id"] }', "device_id"),
        ("error", ", size = 1", "size"),
    ],
)
def test_a_mapping_that_does_not_fit_is_named(tmp_path: Path, part: str, text: str, named: str):
    """What the contracts or we do not know is refused when the mapping is read, not at the first row."""
    with pytest.raises(SettingsError, match=named):
        mapping(tmp_path, **{part: text})


def test_a_missing_field_is_named(tmp_path: Path):
    """A mapping that could never make an event says which field it lacks."""
    (tmp_path / "m.toml").write_text(
        'files = "*"\n[[events]]\ntype = "session.missed.v1"\nid = "a"\n'
        'time = { column = "t" }\n[events.data]\nsession_id = "s"\n'
    )
    with pytest.raises(SettingsError, match="`patient_reference` is missing"):
        read_mapping(tmp_path / "m.toml")


# ── on the command line ─────────────────────────────────────────────────────────────────────────────────


def test_a_dry_run_shows_what_would_be_sent_and_stores_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """The events on standard output, pseudonymous; the outbox stays empty. Without it they are stored."""
    gateway = GatewayProcess(tmp_path / "gateway", {})
    gateway.prepare()
    export = tmp_path / "sessions-1.csv"
    export.write_text(SESSIONS)
    mapped = EXAMPLES / "booking-sessions.toml"
    command = ["put", str(export), "--mapping", str(mapped), "--home", str(gateway.home)]
    app([*command, "--dry-run"])
    dry = capsys.readouterr()
    assert [json.loads(line)["id"] for line in dry.out.splitlines()] == ["session-4711", "missed-4712"]
    assert "K-10293" not in dry.out + dry.err
    assert "2 events: 2 would be stored, 0 refused" in dry.err
    with Outbox(gateway.home / "outbox.sqlite") as outbox:
        assert outbox.state().accepted == 0
    app(command)
    assert capsys.readouterr().out == "2 events: 2 stored, 0 known already, 0 refused\n"
    export.write_text(SESSIONS.replace("III", "VII"))
    with pytest.raises(SystemExit) as ended:
        app(command)
    assert ended.value.code == 1
    refused = capsys.readouterr()
    assert refused.out == "2 events: 0 stored, 0 known already, 1 refused\n"
    assert "line 2: csv.value at $.data.skin_type: the column `Skin`" in refused.err
    with pytest.raises(SettingsError, match="cannot read"):
        app(["put", str(tmp_path / "missing.ndjson"), "--home", str(gateway.home)])
