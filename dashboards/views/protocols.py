"""Protocols: do they help, as the patients came and with patients made alike, and what do they cost in
harm?"""

from typing import Any

from dashboards import charts, words
from dashboards.language import number, say
from dashboards.page import FIGURE, Cell, Chart, Column, Key, Line, Page, Panel, Table, text
from dashboards.queries import Row
from dashboards.state import SKIN_TYPES
from dashboards.views.context import Context
from dashboards.views.figures import Results, describe_groups, figure, freshness_of, index
from dashboards.views.overview import INCIDENCE

IMPROVEMENT = "protocol_improvement"
CRUDE, ADJUSTED = "protocol_difference_crude", "protocol_difference_adjusted"
RATIO = "adverse_event_ratio"


def build(context: Context) -> Page:
    """For readers of all clinics only: a protocol may be run by one clinic alone."""
    rows = context.queries.results((INCIDENCE, IMPROVEMENT, CRUDE, ADJUSTED))
    results = index(rows)
    ratios = context.queries.read("group", metrics=[RATIO], scopes=["protocol"], clinic=None)
    protocols = [
        row for row in context.queries.protocols() if context.state.protocol in (None, row["protocol_id"])
    ]
    return Page(
        "Protocols",
        say(
            "The 365 days up to {day}. Patients are not randomised: what was not recorded is not "
            "adjusted for.",
            day=words.day(context.as_of),
        ),
        panels=(
            _benefit(context, protocols, results, rows),
            _effects(context, protocols, results, rows),
            _balance(context),
            _harm(context, protocols, results, ratios),
            _by_whom(context),
        ),
    )


def _name(context: Context, row: Row) -> Cell:
    about = words.version_for(row)
    return Cell(row["protocol_id"], about, href=context.state.to("/protocols", protocol=row["protocol_id"]))


def _benefit(context: Context, protocols: list[Row], results: Results, rows: list[Row]) -> Panel:
    """Benefit against harm, one cross a protocol."""
    data, lines = [], []
    for row in protocols:
        name = row["protocol_id"]
        gain, harm = (results.get((metric, "protocol", name)) for metric in (IMPROVEMENT, INCIDENCE))
        lines.append(Line(name, (_name(context, row), figure(gain), figure(harm))))
        if gain and harm and gain["value"] is not None and harm["value"] is not None:
            data.append(
                {
                    "name": name,
                    "value": gain["value"],
                    "lower": gain["lower"],
                    "upper": gain["upper"],
                    "harm": harm["value"],
                    "harm_lower": harm["lower"],
                    "harm_upper": harm["upper"],
                    "text": f"{words.value_text(gain)} ({words.interval_text(gain, bare=True)})",
                    "interval": f"{words.value_text(harm)} ({words.interval_text(harm, bare=True)})",
                    "counts": f"{words.ratio_text(gain)}; {words.ratio_text(harm)}",
                }
            )
    columns = (
        Column("name", "Protocol"),
        Column("gain", "Improvement in GAIS grades", numeric=True, parts=FIGURE),
        Column("harm", "Adverse events per 100 sessions", numeric=True, parts=FIGURE),
    )
    table = Table(
        "benefit",
        "Benefit and harm by protocol",
        columns,
        tuple(lines),
        "No protocol is published yet.",
        sort="name",
        wide=34,
    )
    said = "; ".join(
        say(
            "{name}: improvement {gain}, adverse events {harm}",
            name=each["name"],
            gain=each["text"],
            harm=each["interval"],
        )
        for each in data
    )
    chart = Chart(
        charts.benefit_and_harm(data),
        f"{say('Improvement against adverse events, one cross a protocol.')} {said}.",
        (Key("point", "A protocol, with both 95% intervals"),),
        340,
    )
    note = (
        "Up is more improvement, left is fewer adverse events. As the patients came: not compared "
        "like with like."
    )
    return Panel(
        "benefit",
        "Benefit against harm",
        table,
        note,
        chart if data else None,
        **freshness_of(rows, context.now),
    )


def _effects(context: Context, protocols: list[Row], results: Results, rows: list[Row]) -> Panel:
    """Each protocol's difference to the others for the same concerns, crude beside adjusted."""
    data: list[dict[str, Any]] = []
    lines = []
    for row in protocols:
        crude, adjusted = (
            results.get((metric, "protocol", row["protocol_id"])) for metric in (CRUDE, ADJUSTED)
        )
        lines.append(Line(row["protocol_id"], (_name(context, row), figure(crude), figure(adjusted))))
        for result, said in ((crude, "unadjusted"), (adjusted, "adjusted")):
            if result and result["value"] is not None:
                data.append(
                    {
                        "name": f"{row['protocol_id']}, {say(said)}",
                        "order": len(data),
                        "flagged": False,
                        "url": "",
                        "value": result["value"],
                        "lower": result["lower"],
                        "upper": result["upper"],
                        "text": words.value_text(result),
                        "interval": words.interval_text(result, bare=True),
                        "counts": words.ratio_text(result),
                        "finding": say(said),
                        "hint": "",
                    }
                )
    columns = (
        Column("name", "Protocol"),
        Column("crude", "Difference, unadjusted", numeric=True, parts=FIGURE),
        Column("adjusted", "Difference, adjusted", numeric=True, parts=FIGURE),
    )
    table = Table(
        "effects",
        "Difference to other protocols for the same concerns",
        columns,
        tuple(lines),
        "No protocol is published yet.",
        sort="name",
        wide=34,
    )
    chart = Chart(
        charts.forest(data, "difference in GAIS grades", reference=0.0, log=False),
        describe_groups(data, "Forest plot of differences between protocols"),
        (Key("point", "Difference with 95% interval; right of 0 is better"),),
        90 + 22 * len(data),
    )
    note = (
        "GAIS grades gained, minus those with other protocols for the same concerns; adjusted: "
        "patients made alike in "
        "concern, area, skin type, age and number of sessions. No estimate where no two "
        "protocols share a concern."
    )
    return Panel(
        "effects",
        "Compared with other protocols",
        table,
        note,
        chart if data else None,
        **freshness_of(rows, context.now),
    )


def _balance(context: Context) -> Panel:
    """How alike the patients are: drawn for one protocol, the table has all that the filter leaves."""
    rows = context.queries.read("balance", protocol=context.state.protocol)
    drawn = [row for row in rows if row["protocol_id"] == rows[0]["protocol_id"]]
    data = [
        {
            "name": _covariate(row),
            "order": place,
            "before": row["before"],
            "after": row["after"],
            "before_text": _difference(row["smd"]).text,
            "after_text": _difference(row["smd_weighted"]).text,
        }
        for place, row in enumerate(drawn)
    ]
    lines = [
        Line(
            f"{row['protocol_id']}.{place}",
            (
                text(row["protocol_id"]),
                Cell(_covariate(row), raw={"": f"{row['covariate']}={row['category'] or ''}".rstrip("=")}),
                _difference(row["smd"]),
                _difference(row["smd_weighted"]),
                text(row["reason"], lang="en"),
            ),
        )
        for place, row in enumerate(rows)
    ]
    columns = (
        Column("name", "Protocol"),
        Column("covariate", "Covariate"),
        Column("before", "Before weighting", numeric=True),
        Column("after", "After weighting", numeric=True),
        Column("reason", "Note"),
    )
    empty = "No two protocols share a concern yet."
    table = Table(
        "balance", "Balance of patients by covariate", columns, tuple(lines), empty, shown=60, wide=44
    )
    chart = None
    if data:
        protocol = drawn[0]["protocol_id"]
        legend = (
            Key("open point", say("{name}: before weighting", name=protocol)),
            Key("point", "After weighting"),
            Key("limits", "0.1: alike enough, by custom"),
        )
        said = say(
            "Balance plot of {name}: standardised differences to the patients of other protocols, before and "
            "after weighting, one line a covariate. The table has every value.",
            name=protocol,
        )
        chart = Chart(charts.balance(data), said, legend, 90 + 22 * len(data))
    note = (
        "How far the patients of a protocol differ from those it is compared with, in standard deviations. "
        "What is beyond 0.1 after weighting, the adjusted difference does not fully adjust for."
    )
    data_to = words.moment(rows[0]["as_of"]) if rows else ""
    return Panel("balance", "Are the patients alike?", table, note, chart, data_to)


def _covariate(row: Row) -> str:
    """`Skin type: IV`; a covariate that is a number has no category."""
    name, category = words.heading(row["covariate"]), row["category"]
    if category is None:
        return name
    shown = SKIN_TYPES.get(category, category) if row["covariate"] == "skin_type" else words.plain(category)
    return f"{name}: {shown}"


def _difference(value: float | None) -> Cell:
    return text(None) if value is None else Cell(number(value, 2, sign=True), raw={"": value})


def _harm(context: Context, protocols: list[Row], results: Results, ratios: list[Row]) -> Panel:
    by_id = {row["scope_id"]: row for row in ratios}
    lines = [
        Line(
            row["protocol_id"],
            (
                _name(context, row),
                figure(results.get((INCIDENCE, "protocol", row["protocol_id"]))),
                figure(by_id.get(row["protocol_id"])),
                text(by_id[row["protocol_id"]]["flag"] if row["protocol_id"] in by_id else None),
            ),
        )
        for row in protocols
    ]
    columns = (
        Column("name", "Protocol"),
        Column("crude", "Crude: per 100 sessions", numeric=True, parts=FIGURE),
        Column("adjusted", "Adjusted: observed / expected", numeric=True, parts=FIGURE),
        Column("flag", "Flag"),
    )
    table = Table(
        "harm",
        "Adverse events by protocol",
        columns,
        tuple(lines),
        "No protocol is published yet.",
        sort="name",
        wide=44,
    )
    return Panel("harm", "Adverse events, crude and adjusted", table, **freshness_of(ratios, context.now))


def _by_whom(context: Context) -> Panel:
    """Clinics and operators beside each other, drawn to the mean; as they stand, not by rank."""
    rows = context.queries.read("shrunken_effect", clinic=context.clinic)
    lines = [
        Line(
            f"{row['scale']}.{row['operator'] or row['clinic_id']}",
            (
                text(row["scale"]),
                text(row["operator"] or row["display_name"] or row["clinic_id"]),
                Cell(number(row["patients"], 0), raw={"": row["patients"]}),
                Cell(number(row["sessions"], 0), raw={"": row["sessions"]}),
                _drawn(row, ""),
                _drawn(row, "standardised"),
                text(row["reason"], lang="en"),
            ),
        )
        for row in rows
    ]
    columns = (
        Column("scale", "Scale"),
        Column("name", "Clinic or operator"),
        Column("patients", "Patients", numeric=True),
        Column("sessions", "Sessions", numeric=True),
        Column("value", "Difference in units of the scale", numeric=True, parts=_LIMITED),
        Column("standardised", "In standard deviations", numeric=True, parts=_LIMITED),
        Column("reason", "Note"),
    )
    table = Table(
        "whom",
        "Improvement by clinic and operator",
        columns,
        tuple(lines),
        "No clinic or operator with five scored patients yet.",
        shown=40,
        wide=44,
    )
    note = (
        "Above 0 is better: a clinic against the network, an operator against the own clinic, with the same "
        "case mix, drawn to 0 the more, the fewer patients are known. No ranking: where intervals overlap, "
        "nothing says who is better."
    )
    data_to = words.moment(rows[0]["as_of"]) if rows else ""
    return Panel("whom", "By clinic and operator", table, note, None, data_to)


_LIMITED = ("", "lower", "upper")


def _drawn(row: Row, unit: str) -> Cell:
    """Value and interval in that unit, the scale's own unless named."""
    names = (unit, f"{unit}_lower", f"{unit}_upper") if unit else ("value", "lower", "upper")
    raw = dict(zip(_LIMITED, (row[name] for name in names), strict=True))
    value, lower, upper = (None if each is None else number(each, 2, sign=True) for each in raw.values())
    if value is None:
        return Cell(text(None).text, tone="missing", raw=raw)
    interval = "" if lower is None else say("{lower} to {upper}", lower=lower, upper=upper)
    return Cell(value, interval, raw=raw)
