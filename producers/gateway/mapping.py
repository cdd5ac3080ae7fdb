"""CSV exports as events, through a mapping file in TOML.

A mapping says which files it is for, how they are written, and which column goes where in each kind of event:

    files = "sessions-*.csv"
    delimiter = ";"
    decimal_comma = true
    time_zone = "Europe/Berlin"

    [[events]]
    type = "session.completed.v1"
    when = { Status = ["done"] }                                # only rows with one of these texts
    id = "session-{Number}"                                     # text with columns in it
    time = { column = "End", format = "%d.%m.%Y %H:%M" }

    [events.data]
    session_id = "S-{Number}"
    patient_reference = { column = "Customer" }                 # becomes a pseudonym
    protocol_version = 2                                        # the same for every row
    phase = { column = "Kind", values = { Course = "series" } } # their word = ours
    depth_mm = { column = "Depth (um)", divide_by = 1000 }

Where an event takes several rows, as frames of samples do, `group = { by = ["pen"], rows = 10 }` gathers
consecutive rows with the same texts in the columns `by`, at most `rows` of them; with `same = ["sequence"]`
only rows that agree on that field. A field that the contract
has as a list then takes one value of each row, any other field the first row's. Fields, types and limits are
the contracts' own; a mapping that does not fit them is refused when it is read.
"""

import codecs
import csv
import datetime as dt
import decimal
import re
import tomllib
import zoneinfo
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec

from producers.contracts import EVENTS, ContractViolation, SettingsError
from producers.gateway.intake import REFERENCE

MAX_LINE_BYTES = 64 * 1024
"""A longer line is no row of an export [A]."""
MAX_GROUP_ROWS = 1_000
"""No event of the contracts holds more samples [A]."""
YES, NO = frozenset({"true", "yes", "1"}), frozenset({"false", "no", "0"})

Row = Mapping[str, str]
Made = tuple[int, bytes | ContractViolation]
"""Line of the file, and the event there as JSON, or what is wrong with it."""


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the mapping file."""


class Column(_Table, frozen=True):
    """A value from a column: translated by `values`, read by `format`, scaled; `optional` if it may be empty.

    `format` is for moments and dates: as in Python's strptime, or `iso` (the default), `epoch_s`, `epoch_ms`.
    """

    column: str
    values: dict[str, str | int | float | bool] | None = None
    format: str = "iso"
    divide_by: float | None = None
    multiply_by: float | None = None
    optional: bool = False


Field = Column | str | int | float | bool


class Group(_Table, frozen=True):
    """Consecutive rows that make one event: equal in the columns `by` and in the fields `same`."""

    by: list[str]
    rows: int
    same: list[str] = []


class EventMapping(_Table, frozen=True):
    """How rows become events of one type."""

    type: str
    id: str
    time: Column
    data: dict[str, Field]
    when: dict[str, list[str]] = msgspec.field(default_factory=dict)
    group: Group | None = None


class CsvMapping(_Table, frozen=True):
    """A whole mapping file. `source` is added to the events' source, so that systems' ids do not collide."""

    files: str
    events: list[EventMapping]
    encoding: str = "utf-8-sig"
    delimiter: str = ","
    quote: str = '"'
    decimal_comma: bool = False
    time_zone: str = "UTC"
    source: str | None = None


def read_mapping(file: Path) -> CsvMapping:
    """The mapping in a file, checked against the contracts. Raises SettingsError naming the place."""
    try:
        mapping = msgspec.toml.decode(file.read_bytes(), type=CsvMapping)
    except OSError as error:
        raise SettingsError(f"cannot read {file}: {error.strerror}") from None
    except (msgspec.MsgspecError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file}: {error}") from None
    for problem in _problems(mapping):
        raise SettingsError(f"{file}: {problem}")
    return mapping


def _problems(mapping: CsvMapping) -> Iterator[str]:
    """What does not fit, first things first."""
    if mapping.time_zone not in zoneinfo.available_timezones():
        yield f"time_zone {mapping.time_zone!r} is not an IANA time zone"
    try:
        codecs.lookup(mapping.encoding)
    except LookupError:
        yield f"encoding {mapping.encoding!r} is unknown"
    if len(mapping.delimiter) != 1 or len(mapping.quote) != 1:
        yield "delimiter and quote are one character each"
    if not mapping.events:
        yield "there are no [[events]]"
    for event in mapping.events:
        yield from (f"[[events]] {event.type}: {problem}" for problem in _event_problems(event))


def _event_problems(event: EventMapping) -> Iterator[str]:
    if event.type not in EVENTS:
        yield "no such event type"
        return
    fields = _fields(event.type)
    given = {"patient_key" if name == REFERENCE else name for name in event.data}
    for name in sorted(given - set(fields)):
        yield f"the contract has no field `{name}`"
    for name, field in fields.items():
        if field.required and name not in given:
            yield f"the field `{REFERENCE if name == 'patient_key' else name}` is missing"
    for name in event.group.same if event.group else ():
        if not isinstance(event.data.get(name), Column):
            yield f"the group's `{name}` is no field with a column"
    if event.group and not 1 <= event.group.rows <= MAX_GROUP_ROWS:
        yield f"a group has 1 to {MAX_GROUP_ROWS} rows"


# ── what the contracts say of a field ───────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _ContractField:
    kind: type
    is_list: bool
    required: bool


def _fields(event_type: str) -> dict[str, _ContractField]:
    info = cast(msgspec.inspect.StructType, msgspec.inspect.type_info(EVENTS[event_type].data))
    return {field.name: _contract_field(field.type, field.required) for field in info.fields}


def _contract_field(info: Any, required: bool) -> _ContractField:
    match info:
        case msgspec.inspect.Metadata():
            return _contract_field(info.type, required)
        case msgspec.inspect.UnionType():
            some = next(t for t in info.types if not isinstance(t, msgspec.inspect.NoneType))
            return _contract_field(some, required)
        case msgspec.inspect.ListType() | msgspec.inspect.VarTupleType() | msgspec.inspect.SetType():
            return _ContractField(_contract_field(info.item_type, True).kind, True, required)
    kinds: dict[type, type] = {
        msgspec.inspect.IntType: int,
        msgspec.inspect.FloatType: float,
        msgspec.inspect.BoolType: bool,
        msgspec.inspect.DateTimeType: dt.datetime,
        msgspec.inspect.DateType: dt.date,
    }
    return _ContractField(kinds.get(type(info), str), False, required)


# ── rows to events ──────────────────────────────────────────────────────────────────────────────────────


def events_of(file: BinaryIO, mapping: CsvMapping, clinic: str) -> Iterator[Made]:
    """Every event that the rows make, in their order. Raises ContractViolation for the whole file."""
    source = f"/clinics/{clinic}" + (f"/{mapping.source}" if mapping.source else "")
    makers = [_Maker(event, mapping, source) for event in mapping.events]
    for line, row in _rows(file, mapping, _columns(mapping)):
        for maker in makers:
            yield from maker.take(line, row)
    for maker in makers:
        yield from maker.finish()


def _rows(file: BinaryIO, mapping: CsvMapping, needed: set[str]) -> Iterator[tuple[int, Row]]:
    reader = csv.reader(
        _lines(file, mapping.encoding), delimiter=mapping.delimiter, quotechar=mapping.quote, strict=True
    )
    try:
        header = [name.strip() for name in next(reader, [])]
        if missing := sorted(needed - set(header)):
            raise ContractViolation("csv.column", "$", f"there is no column `{missing[0]}`")
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, dict(zip(header, [cell.strip() for cell in cells], strict=False))
    except csv.Error:
        raise ContractViolation("csv.invalid", "$", f"not CSV, at line {reader.line_num}") from None


def _lines(file: BinaryIO, encoding: str) -> Iterator[str]:
    """Decoded lines, none of them endless."""
    reader = codecs.getreader(encoding)(file)
    number = 0
    try:
        while line := reader.readline(MAX_LINE_BYTES):
            number += 1
            if len(line) >= MAX_LINE_BYTES:
                raise ContractViolation("csv.line", "$", f"line {number} is longer than {MAX_LINE_BYTES}")
            yield line
    except UnicodeError:
        raise ContractViolation(
            "csv.encoding", "$", f"not {encoding}, after line {number}: see `encoding` in the mapping"
        ) from None


def _columns(mapping: CsvMapping) -> set[str]:
    """Every column that the mapping reads."""
    found: set[str] = set()
    for event in mapping.events:
        found.update(event.when, event.group.by if event.group else (), [event.time.column])
        for field in (event.id, *event.data.values()):
            if isinstance(field, Column):
                found.add(field.column)
            elif isinstance(field, str):
                found.update(_PLACE.findall(field))
    return found


_PLACE = re.compile(r"\{([^{}]+)\}")


class _Maker:
    """Makes the events of one type, gathering rows where an event takes several."""

    def __init__(self, event: EventMapping, mapping: CsvMapping, source: str) -> None:
        self._event = event
        self._source = source
        self._fields = _fields(event.type)
        self._convert = _Converter(zoneinfo.ZoneInfo(mapping.time_zone), mapping.decimal_comma)
        self._gathered: list[Row] = []
        self._first_line = 0

    def take(self, line: int, row: Row) -> Iterator[Made]:
        if any(row.get(column, "") not in texts for column, texts in self._event.when.items()):
            return
        group = self._event.group
        if group and self._gathered and not self._belongs(row, group):
            yield from self.finish()
        self._first_line = self._first_line or line
        self._gathered.append(row)
        if not group or len(self._gathered) == group.rows:
            yield from self.finish()

    def finish(self) -> Iterator[Made]:
        """The event of the rows gathered so far."""
        if self._gathered:
            try:
                yield self._first_line, msgspec.json.encode(self._made(self._gathered))
            except ContractViolation as violation:
                yield self._first_line, violation
        self._gathered, self._first_line = [], 0

    def _belongs(self, row: Row, group: Group) -> bool:
        first = self._gathered[0]
        return all(row.get(column) == first.get(column) for column in group.by) and all(
            self._same(name, row) == self._same(name, first) for name in group.same
        )

    def _same(self, name: str, row: Row) -> Any:
        """The field's value of one row, or its text where it has none: that is told with the event."""
        column = self._event.data[name]
        assert isinstance(column, Column)
        try:
            return self._convert.cell(column, row, self._fields[name].kind, name)
        except ContractViolation:
            return row.get(column.column)

    def _made(self, rows: Sequence[Row]) -> dict[str, Any]:
        moment = _ContractField(dt.datetime, False, True)
        data = {name: self._field(name, field, rows) for name, field in self._event.data.items()}
        return {
            "specversion": "1.0",
            "id": _filled(self._event.id, rows[0]),
            "source": self._source,
            "type": self._event.type,
            "time": self._convert.cell(self._event.time, rows[0], moment.kind, "$.time"),
            "data": {name: value for name, value in data.items() if value is not None},
        }

    def _field(self, name: str, field: Field, rows: Sequence[Row]) -> Any:
        path = f"$.data.{name}"
        contract = self._fields.get(name, _ContractField(str, False, True))
        if isinstance(field, Column):
            values = [self._convert.cell(field, row, contract.kind, path) for row in rows]
            return values if contract.is_list else values[0]
        if isinstance(field, str):
            return _filled(field, rows[0])
        return field


def _filled(template: str, row: Row) -> str:
    """The text with each `{column}` replaced by that column's."""
    return _PLACE.sub(lambda place: row.get(place[1], ""), template)


@dataclass(frozen=True)
class _Converter:
    """Text of a cell to a value of JSON, as the export writes numbers and times."""

    zone: dt.tzinfo
    decimal_comma: bool

    def cell(self, spec: Column, row: Row, kind: type, path: str) -> Any:
        """The value; null for an empty optional cell. Raises ContractViolation naming column and field."""
        text = row.get(spec.column, "")
        if not text:
            if spec.optional:
                return None
            raise ContractViolation("csv.empty", path, f"the column `{spec.column}` is empty")
        if spec.values is not None:
            if text not in spec.values:
                raise ContractViolation(
                    "csv.value",
                    path,
                    f"the column `{spec.column}` has a text that `values` does not translate",
                )
            return spec.values[text]
        convert: Callable[[Column, str], Any] = {
            int: self._whole,
            float: self._number,
            bool: self._truth,
            dt.datetime: self._instant,
            dt.date: self._date,
        }.get(kind, lambda _, text: text)
        try:
            return convert(spec, text)
        except (ValueError, ArithmeticError, OverflowError):
            what = {int: "whole number", float: "number", bool: "yes or no"}.get(
                kind, f"time like {spec.format}"
            )
            raise ContractViolation("csv.value", path, f"the column `{spec.column}` is no {what}") from None

    def _decimal(self, spec: Column, text: str) -> decimal.Decimal:
        number = decimal.Decimal(text.replace(",", ".") if self.decimal_comma else text)
        if not number.is_finite() or abs(number.adjusted()) > 30:
            raise ValueError
        number *= decimal.Decimal(str(spec.multiply_by)) if spec.multiply_by is not None else 1
        return number / (decimal.Decimal(str(spec.divide_by)) if spec.divide_by is not None else 1)

    def _number(self, spec: Column, text: str) -> float:
        return float(self._decimal(spec, text))

    def _whole(self, spec: Column, text: str) -> int:
        """A number that must be whole, unless it is divided: then what is over is dropped."""
        number = self._decimal(spec, text)
        whole = int(number // 1)
        if spec.divide_by is None and whole != number:
            raise ValueError
        return whole

    def _truth(self, spec: Column, text: str) -> bool:
        if text.lower() not in YES | NO:
            raise ValueError
        return text.lower() in YES

    def _instant(self, spec: Column, text: str) -> str:
        return self._moment(spec, text).isoformat()

    def _date(self, spec: Column, text: str) -> str:
        return self._moment(spec, text).date().isoformat()

    def _moment(self, spec: Column, text: str) -> dt.datetime:
        """In the export's time zone where the text names none.

        A local time that the clocks skipped is refused; of an hour that they run through twice, the first is
        meant.
        """
        if spec.format in ("epoch_s", "epoch_ms"):
            seconds = decimal.Decimal(text) / (1000 if spec.format == "epoch_ms" else 1)
            return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=float(seconds))
        if spec.format == "iso":
            moment = dt.datetime.fromisoformat(text)
        else:
            moment = dt.datetime.strptime(text, spec.format)
        if moment.tzinfo is not None:
            return moment
        local = moment.replace(tzinfo=self.zone)
        if local.astimezone(dt.UTC).astimezone(self.zone).replace(tzinfo=None) != moment:
            raise ValueError
        return local
