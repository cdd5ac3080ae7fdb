"""What a report is, frozen: every renderer reads this and nothing else.

The JSON of a `ReportData` is kept in the archive, so that an issue can be rendered again, byte for byte.
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
    """

    figure: Figure
    last_week: Figure | None
    explanation: str
    provisional: bool


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
class ReportData:
    """One edition of one week, complete; `revision` counts the issues with different content."""

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
