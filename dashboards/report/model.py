"""What a report is, frozen: every renderer reads this and nothing else.

The JSON of a `ReportData` is kept in the archive, so that an issue can be rendered again, byte for byte.
Fields with a default came later: an older issue still loads.
"""

import datetime as dt
from dataclasses import dataclass

import msgspec

from dashboards.report.week import IsoWeek


@dataclass(frozen=True)
class Figure:
    """One metric of one scope and interval, as it may be shown.

    Numbers are null where they are suppressed (`suppressed`) or not estimable (`reason` says why).
    `numerator` and `denominator` are counts, except that a mean's numerator is a sum in `unit`.
    """

    metric_id: str
    metric_version: int
    scope: str
    scope_id: str
    period: str
    interval_start: dt.datetime
    interval_end: dt.datetime
    numerator: float | None
    denominator: float | None
    value: float | None
    lower: float | None
    upper: float | None
    level: float | None
    unit: str
    method: str
    reason: str | None
    suppressed: bool = False

    @property
    def estimated(self) -> bool:
        """Whether there is a value with an interval to show."""
        return not self.suppressed and None not in (self.value, self.lower, self.upper)


@dataclass(frozen=True)
class Tile:
    """One headline: a figure, the same one week earlier where there is one, and what it is in a sentence.

    `provisional`: outcomes of its sessions are still arriving, so it is never called a change.
    `history`: the figure in each of the last weeks, oldest first, this one last; null where there is none.
    """

    figure: Figure
    last_week: Figure | None
    explanation: str
    provisional: bool
    history: tuple[Figure | None, ...] = ()


@dataclass(frozen=True)
class TrendWeek:
    """Adverse-event incidence of one week; no figure where nothing was computed."""

    week: str
    figure: Figure | None
    provisional: bool


@dataclass(frozen=True)
class ClinicRow:
    """One clinic of the network edition."""

    clinic_id: str
    display_name: str
    incidence: Figure | None
    incidence_week: Figure | None
    maintenance_on_time: Figure | None
    device_in_calibration: Figure | None
    follow_up_coverage: Figure | None


@dataclass(frozen=True)
class ProtocolRow:
    """One protocol of the network edition."""

    protocol_id: str
    indication: str
    incidence: Figure | None
    improvement: Figure | None


@dataclass(frozen=True)
class LandingTotals:
    """The books of the whole network: consumed = landed + duplicate + quarantined events."""

    consumed: int
    landed: int
    duplicate: int
    quarantined: int


@dataclass(frozen=True)
class Clock:
    """The last day for a report to a regulator, if one is due; whether it is, is for a person."""

    who: str
    due_on: dt.date
    source: str


@dataclass(frozen=True)
class SignalRow:
    """One signal. `state` since the last report: new, ongoing or closed; `status` is where it stands.

    `value`: times the expected; null where that has no value; `q` null for sequential rules. No owner: null.
    """

    signal_id: str
    state: str
    status: str
    rule: str
    scope: str
    scope_id: str
    flag: str
    since: dt.datetime
    value: float | None
    q: float | None
    owner: str | None
    clocks: tuple[Clock, ...]


@dataclass(frozen=True)
class FunnelPoint:
    """One clinic's adverse events over the expected ones, and the limits of chance at its size.

    `ratio`, `lower` and `upper` are null where it has no value, all numbers where it is suppressed.
    """

    clinic_id: str
    display_name: str
    observed: float | None
    expected: float | None
    ratio: float | None
    lower: float | None
    upper: float | None
    limits_95: tuple[float, float] | None
    limits_998: tuple[float, float] | None
    flag: str | None
    suppressed: bool = False


@dataclass(frozen=True)
class DueRow:
    """Patients of one clinic (or all) whose next maintenance session may be booked; null: suppressed."""

    clinic_id: str
    display_name: str
    due: int | None
    at_risk: int | None
    overdue: int | None


@dataclass(frozen=True)
class DeviceRow:
    """One device not in calibration; both null where it never was calibrated."""

    clinic_id: str
    display_name: str
    device_id: str
    last_calibrated_on: dt.date | None
    days_overdue: int | None


@dataclass(frozen=True)
class CheckRow:
    """What one check of the data found within the edition's scope; both null where suppressed."""

    check_id: str
    subjects: int | None
    events: int | None


@dataclass(frozen=True)
class ReportData:
    """One edition of one week, complete; `revision` counts the issues with different content.

    `sessions`: completed in the week, known when frozen; null in issues from before it was kept.
    `reason` and `differences`: why a later revision was made and what is other than in the one before.
    `due` is null where no due list of that day is kept.
    """

    week: str
    scope: str
    scope_id: str
    scope_name: str
    revision: int
    snapshot_id: int
    issued_at: dt.datetime
    as_of: dt.datetime
    computed_at: dt.datetime
    data_to: dt.datetime | None
    metric_versions: tuple[tuple[str, int], ...]
    changes: tuple[str, ...]
    rule: str
    notes: tuple[str, ...]
    tiles: tuple[Tile, ...]
    trend: tuple[TrendWeek, ...]
    clinics: tuple[ClinicRow, ...]
    protocols: tuple[ProtocolRow, ...]
    landing: LandingTotals
    signals: tuple[SignalRow, ...] = ()
    funnel: tuple[FunnelPoint, ...] = ()
    due: tuple[DueRow, ...] | None = None
    devices: tuple[DeviceRow, ...] = ()
    checks: tuple[CheckRow, ...] = ()
    sessions: int | None = None
    dashboard_url: str = ""
    paper: str = "a4"
    reason: str = ""
    differences: tuple[str, ...] = ()

    @property
    def edition(self) -> str:
        """The scope as one word of a file name; a clinic called `network` cannot be mistaken for all."""
        return "network" if self.scope == "network" else f"clinic-{self.scope_id}"

    @property
    def report_id(self) -> str:
        return f"{self.week}-{self.edition}-s{self.snapshot_id}-r{self.revision}"

    @property
    def iso_week(self) -> IsoWeek:
        return IsoWeek.parse(self.week)

    def to_json(self) -> bytes:
        return msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n"

    @classmethod
    def from_json(cls, document: bytes) -> "ReportData":
        return msgspec.json.decode(document, type=cls)
