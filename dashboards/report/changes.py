"""What changed since last week, in three to five sentences a manager can act on.

Dashboards compute nothing: a change is read off the stored intervals, never tested anew.
"""

from collections.abc import Sequence

from dashboards.report.model import ClinicRow, Figure, Tile, TrendWeek
from dashboards.report.words import METRICS, SUPPRESSED, count, in_full, number, value_text

SETTLING_DAYS = 14
"""Days after a session until its outcome should be known: the age at which follow-up coverage counts it."""

PER = " adverse events per 100 sessions"

RULE = (
    "Rule: something is called a change only where the two 95% intervals do not overlap and, for adverse "
    f"events, both weeks ended at least {SETTLING_DAYS} days before the data's cut-off, so that outcomes had "
    "time to arrive. A change is a flag to look into, not proof of harm; no change is not proof of safety."
)


def direction(new: Figure | None, old: Figure | None) -> str | None:
    """'rose' or 'fell' where the intervals do not overlap, 'same' where they do, null without one."""
    if new is None or old is None or not (new.estimated and old.estimated):
        return None
    assert new.lower is not None
    assert new.upper is not None
    assert old.lower is not None
    assert old.upper is not None
    if new.lower > old.upper:
        return "rose"
    return "fell" if new.upper < old.lower else "same"


def sentences(
    tiles: Sequence[Tile], trend: Sequence[TrendWeek], clinics: Sequence[tuple[ClinicRow, str | None]]
) -> tuple[str, ...]:
    """Three to five sentences; `clinics` pairs each clinic with the `direction` of its settled weeks."""
    tile = {(tile.figure.metric_id, tile.figure.period): tile for tile in tiles}
    said = [_this_week(trend)]
    if trend[-1].provisional:
        said.append(_settled(trend))
    if clinics:
        said.append(_by_clinic(clinics))
    elif maintenance := tile.get(("maintenance_on_time", "year")):
        said.append(_level(maintenance))
    for metric_id in ("device_in_calibration", "follow_up_coverage"):
        if found := tile.get((metric_id, "year")):
            said.append(_level(found))
    return tuple(said)


def _this_week(trend: Sequence[TrendWeek]) -> str:
    last, this = trend[-2:]
    if not this.provisional:
        return _compared(this, last)
    if this.figure is None or not this.figure.estimated:
        return f"Too early to judge {this.week}: adverse events {_missing(this)}."
    return (
        f"Too early to judge {this.week}: so far {in_full(this.figure, PER)}, against "
        f"{in_full(last.figure)} in {last.week}; outcomes are still arriving."
    )


def _settled(trend: Sequence[TrendWeek]) -> str:
    settled = [week for week in trend if not week.provisional]
    if len(settled) < 2:
        return "No two weeks are settled yet, so no change can be called."
    return _compared(settled[-1], settled[-2])


def _missing(week: TrendWeek) -> str:
    if week.figure is None:
        return "have no result"
    if week.figure.suppressed:
        return f"are {SUPPRESSED}"
    return f"are not estimable ({week.figure.reason or 'no exposure'})"


def _compared(new: TrendWeek, old: TrendWeek) -> str:
    what = direction(new.figure, old.figure)
    if what is None:
        gap = new if new.figure is None or not new.figure.estimated else old
        return f"{new.week} cannot be compared with {old.week}: in {gap.week} adverse events {_missing(gap)}."
    pair = f"{in_full(new.figure, PER)} in {new.week}, {in_full(old.figure)} in {old.week}"
    if what == "same":
        return f"Nothing changed: {pair}; the intervals overlap."
    return f"Adverse events {what} by {_size(new.figure, old.figure)} per 100 sessions: {pair}."


def _size(new: Figure | None, old: Figure | None) -> str:
    assert new is not None
    assert old is not None
    assert new.value is not None
    assert old.value is not None
    return number(new.metric_id, abs(new.value - old.value))


def _by_clinic(clinics: Sequence[tuple[ClinicRow, str | None]]) -> str:
    comparable = [(row, what) for row, what in clinics if what is not None]
    moved = [f"{row.display_name} {what}" for row, what in comparable if what != "same"]
    without = len(clinics) - len(comparable)
    rest = f"; {without} had too few sessions or no result in one of the weeks" if without else ""
    if not comparable:
        return (
            f"No clinic can be compared between its two newest settled weeks ({len(clinics)} clinics){rest}."
        )
    if not moved:
        return (
            f"Nothing changed by clinic: intervals overlap in all {len(comparable)} of {len(clinics)} "
            f"clinics that can be compared between the two newest settled weeks{rest}."
        )
    return (
        f"By clinic, adverse events changed in {len(moved)} of {len(comparable)} that can be compared: "
        f"{', '.join(moved)}{rest}."
    )


def _level(tile: Tile) -> str:
    """A rolling figure, and against the one a week earlier where there is one."""
    figure, earlier = tile.figure, tile.last_week
    word = METRICS[figure.metric_id]
    if not figure.estimated:
        why = f" ({figure.reason})" if figure.reason and not figure.suppressed else ""
        return f"{word.title}: {value_text(figure)}{why}."
    text = f"{word.title}: {in_full(figure)}"
    what = direction(figure, earlier)
    if what == "same":
        text += f"; unchanged against {in_full(earlier)} a week earlier, the intervals overlap"
    elif what is not None:
        text += f"; {what} by {_size(figure, earlier)} against {in_full(earlier)} a week earlier"
    if figure.metric_id == "device_in_calibration":
        assert figure.denominator is not None
        assert figure.numerator is not None
        text += f"; {count(figure.denominator - figure.numerator)} overdue or never calibrated"
    return text + "."
