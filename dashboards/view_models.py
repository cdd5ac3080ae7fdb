"""Rows to what the pages show: pure functions, no reading, no clock; nothing is computed but differences."""

import datetime as dt
import math
import urllib.parse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from dashboards import words
from dashboards.words import METRICS, SETTLING_DAYS, Row

INCIDENCE = "adverse_event_incidence"
CLINIC_METRICS = (INCIDENCE, "follow_up_coverage", "maintenance_on_time", "device_in_calibration")
TILE_METRICS = (*CLINIC_METRICS, "protocol_improvement")
PROTOCOL_METRICS = (INCIDENCE, "protocol_improvement")

NETWORK = "network"
TREND_WEEKS = 26
STALE_AFTER = dt.timedelta(minutes=15)
"""Silence of all clinics after which the page says so [assumption: devices send a heartbeat every 5 min]."""


# ── the state of a page, all of it in its address ───────────────────────────────────────────────────────


class UnknownState(ValueError):
    """An address that names no state of the page."""


@dataclass(frozen=True)
class View:
    """What the overview shows: `clinic` is a clinic_id, `network`, or null for the reader's default."""

    clinic: str | None = None
    sort: str = "name"
    order: str = "asc"
    live: str = "on"

    _ALLOWED = {  # noqa: RUF012 - a constant, not a field
        "sort": ("name", *CLINIC_METRICS),
        "order": ("asc", "desc"),
        "live": ("on", "off"),
    }

    @classmethod
    def parse(cls, pairs: Iterable[tuple[str, str]]) -> "View":
        """The state of those query parameters; unknown ones are ignored.

        Raises UnknownState for a parameter given twice or with a value it cannot have.
        """
        given: dict[str, str] = {}
        for name, value in pairs:
            if name not in ("clinic", *cls._ALLOWED):
                continue
            if name in given:
                raise UnknownState(f"{name} is given twice")
            if name in cls._ALLOWED and value not in cls._ALLOWED[name]:
                raise UnknownState(f"{name} is none of {', '.join(cls._ALLOWED[name])}")
            if value:
                given[name] = value
        return cls(**given)

    def url(self, **changes: str | None) -> str:
        """The address of this state with those changes; defaults are left out."""
        state = replace(self, **changes)  # type: ignore[arg-type]
        default = View()
        given = {
            name: value
            for name in ("clinic", *self._ALLOWED)
            if (value := getattr(state, name)) != getattr(default, name)
        }
        return "/?" + urllib.parse.urlencode(given) if given else "/"

    def sorted_by(self, column: str) -> str:
        """The address that a column's head leads to: sorted by it, or turned round."""
        turned = self.sort == column and self.order == "asc"
        return self.url(sort=column, order="desc" if turned else "asc")


# ── figures ─────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Cell:
    """One figure in words. `interval` and `counts` are empty where there are none."""

    value: str
    interval: str
    counts: str
    estimated: bool


def cell(row: Row | None) -> Cell:
    """A figure as a table shows it, without the name of what is counted."""
    estimated = row is not None and row["value"] is not None
    counts = words.ratio_text(row) if estimated else words.counts_text(row)
    return Cell(words.value_text(row), words.interval_text(row, bare=True), counts, estimated)


def index(rows: Iterable[Row]) -> dict[tuple[str, str, str], Row]:
    """The year's results by metric, scope and scope_id."""
    rows = [row for row in rows if row["period"] == "year"]
    return {
        (row["metric_id"], row["scope"], row["scope_id"]): row for row in rows if row["metric_id"] in METRICS
    }


@dataclass(frozen=True)
class Tile:
    """One headline; texts are empty where there is nothing to say."""

    metric_id: str
    title: str
    explanation: str
    value: str
    interval: str
    counts: str
    change: str
    network: str
    estimated: bool


def tiles(results: Mapping[tuple[str, str, str], Row], scope: str, scope_id: str) -> list[Tile]:
    """The metrics of one scope; a clinic's tile names the network's value beside it."""
    shown = []
    for metric_id in TILE_METRICS:
        row = results.get((metric_id, scope, scope_id))
        if row is None:
            continue
        network = results.get((metric_id, NETWORK, NETWORK)) if scope != NETWORK else None
        shown.append(
            Tile(
                metric_id,
                METRICS[metric_id].title,
                METRICS[metric_id].explanation,
                words.value_text(row),
                words.interval_text(row),
                words.counts_text(row),
                _change(row),
                f"Network {words.value_text(network)}" if network else "",
                row["value"] is not None,
            )
        )
    return shown


def _change(row: Row) -> str:
    """`+0.6 since 23 February 2026`: a difference between two days of knowledge, not a finding."""
    if row["value"] is None or row["earlier_value"] is None:
        return ""
    since = f"since {words.day(row['earlier_as_of'])}"
    text = words.number(row["metric_id"], abs(row["value"] - row["earlier_value"])).replace("%", " points")
    if not any(digit in text for digit in "123456789"):
        return f"unchanged {since}"
    return f"{'+' if row['value'] > row['earlier_value'] else '−'}{text} {since}"


# ── tables ──────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Column:
    """A sortable head: where it leads, and how the table is sorted by it now (`none` if it is not)."""

    title: str
    url: str
    direction: str


@dataclass(frozen=True)
class ClinicRow:
    """One clinic and its figures, one a column."""

    clinic_id: str
    name: str
    url: str
    chosen: bool
    cells: tuple[Cell, ...]


def clinic_columns(view: View) -> list[Column]:
    titles = {"name": "Clinic"} | {metric_id: METRICS[metric_id].title for metric_id in CLINIC_METRICS}
    directions = {"asc": "ascending", "desc": "descending"}
    return [
        Column(title, view.sorted_by(column), directions[view.order] if view.sort == column else "none")
        for column, title in titles.items()
    ]


def clinic_rows(
    clinics: Sequence[Row], results: Mapping[tuple[str, str, str], Row], view: View, chosen: str
) -> list[ClinicRow]:
    """The reader's clinics in the order asked for; those without a value come last either way."""

    def value(clinic: Row) -> float | None:
        row = results.get((view.sort, "clinic", clinic["clinic_id"]))
        return None if row is None else row["value"]

    ordered = sorted(clinics, key=lambda each: (each["display_name"].casefold(), each["clinic_id"]))
    if view.sort == "name":
        ordered = ordered[::-1] if view.order == "desc" else ordered
    else:
        sign = -1 if view.order == "desc" else 1
        ordered.sort(key=lambda each: math.inf if (v := value(each)) is None else sign * v)
    return [
        ClinicRow(
            clinic["clinic_id"],
            clinic["display_name"],
            view.url(clinic=clinic["clinic_id"]),
            clinic["clinic_id"] == chosen,
            tuple(cell(results.get((m, "clinic", clinic["clinic_id"]))) for m in CLINIC_METRICS),
        )
        for clinic in ordered
    ]


@dataclass(frozen=True)
class ProtocolRow:
    """One protocol and its figures, one a column."""

    protocol_id: str
    version: int
    indication: str
    cells: tuple[Cell, ...]


def protocol_rows(protocols: Sequence[Row], results: Mapping[tuple[str, str, str], Row]) -> list[ProtocolRow]:
    return [
        ProtocolRow(
            row["protocol_id"],
            row["version"],
            str(row["indication"]).replace("_", " "),
            tuple(cell(results.get((m, "protocol", row["protocol_id"]))) for m in PROTOCOL_METRICS),
        )
        for row in protocols
    ]


# ── the trend ───────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class TrendPoint:
    """One week of the chosen scope, in numbers for the chart and in words for its table.

    `provisional`: outcomes of its sessions are still arriving. `network` is null where it is not shown.
    """

    week: str
    starts_on: str
    value: float | None
    lower: float | None
    upper: float | None
    network: float | None
    provisional: bool
    cell: Cell


def trend(rows: Iterable[Row], scope: str, scope_id: str) -> list[TrendPoint]:
    """Incidence of the newest weeks there are, oldest first; a week without a value is a gap."""
    weeks = [row for row in rows if row["metric_id"] == INCIDENCE and row["period"] == "week"]
    network = {row["interval_start"]: row["value"] for row in weeks if row["scope"] == NETWORK}
    own = [row for row in weeks if (row["scope"], row["scope_id"]) == (scope, scope_id)]
    own = sorted(own, key=lambda row: row["interval_start"])[-TREND_WEEKS:]
    return [_point(row, None if scope == NETWORK else network.get(row["interval_start"])) for row in own]


def _point(row: Row, network: float | None) -> TrendPoint:
    start = row["interval_start"].astimezone(dt.UTC)
    year, week, _ = start.isocalendar()
    settled = row["interval_end"] + dt.timedelta(days=SETTLING_DAYS) <= row["as_of"]
    return TrendPoint(
        f"{year}-W{week:02}",
        start.strftime("%Y-%m-%d"),
        row["value"],
        row["lower"],
        row["upper"],
        network,
        not settled,
        cell(row),
    )


# ── freshness ───────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Freshness:
    """How fresh the page is: `state` is `fresh`, `stale` or `empty`, and `summary` says it in words."""

    state: str
    summary: str
    times: tuple[tuple[str, str], ...]
    counts: tuple[tuple[str, str], ...]


def freshness(row: Row | None, now: dt.datetime) -> Freshness:
    """`row` is null while there is no warehouse."""
    if row is None or row["newest_received_at"] is None:
        return Freshness("empty", "No event has been landed yet", (), ())
    age = now - row["newest_received_at"]
    stale = age > STALE_AFTER
    summary = f"No event for {_span(age)}" if stale else "Events are arriving"
    as_of = row["newest_as_of"]
    times = (
        ("Newest event", words.moment(row["newest_received_at"])),
        ("Metrics computed", words.moment(row["newest_metric_at"]) if row["newest_metric_at"] else "not yet"),
        ("Metrics as of", words.moment(as_of) if as_of else "not yet"),
    )
    counts = tuple(
        (title, words.count(row[name]))
        for title, name in (("Landed", "landed"), ("Duplicates", "duplicate"), ("Quarantined", "quarantined"))
    )
    return Freshness("stale" if stale else "fresh", summary, times, counts)


def _span(age: dt.timedelta) -> str:
    minutes = int(age.total_seconds() // 60)
    if minutes < 120:
        return f"{minutes} minutes"
    return f"{minutes // 60} hours" if minutes < 48 * 60 else f"{minutes // (24 * 60)} days"


# ── reports ─────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Report:
    """One issue in the archive: `files` are (kind, address), in the order people want them."""

    week: str
    edition: str
    title: str
    report_id: str
    files: tuple[tuple[str, str], ...]


_KINDS = ("html", "pdf", "csv", "json")


def reports(paths: Iterable[PurePosixPath], names: Mapping[str, str]) -> list[Report]:
    """Issues of `<week>/<edition>/<report id>.<kind>`, newest week first; `names` by clinic_id."""
    issues: dict[tuple[str, str, str], list[str]] = {}
    for path in paths:
        week, edition = path.parts[:2]
        issues.setdefault((week, edition, path.stem), []).append(path.suffix.removeprefix("."))
    shown = []
    for (week, edition, report_id), kinds in sorted(issues.items(), key=_newest_first):
        clinic_id = edition.removeprefix("clinic-")
        title = "Network" if edition == NETWORK else names.get(clinic_id, clinic_id)
        files = tuple(
            (
                kind.upper(),
                "/reports/" + urllib.parse.quote(f"{week}/{edition}/{report_id}.{kind}"),
            )
            for kind in _KINDS
            if kind in kinds
        )
        shown.append(Report(week, edition, title, report_id, files))
    return shown


def _newest_first(item: tuple[tuple[str, str, str], list[str]]) -> tuple[int, bool, str, str]:
    (week, edition, report_id), _ = item
    number = int("".join(digit for digit in week if digit.isdigit()) or 0)
    return (-number, edition != NETWORK, edition, report_id)
