"""Safety: who has more adverse events than the same kinds of patients have elsewhere, crude and adjusted."""

from dashboards import charts, words
from dashboards.language import number, say
from dashboards.page import FIGURE, Cell, Chart, Column, Key, Line, Page, Panel, Table, text
from dashboards.queries import Row
from dashboards.state import GROUPINGS
from dashboards.views import tables
from dashboards.views.context import Context
from dashboards.views.figures import (
    describe_groups,
    figure,
    finding,
    freshness_of,
    group_data,
    group_name,
    group_url,
    index,
)
from dashboards.views.overview import INCIDENCE

RATIO, REPORTING, SURVEILLANCE = (
    "adverse_event_ratio",
    "adverse_event_reporting",
    "adverse_event_surveillance",
)
_MOST_DRAWN = 30
_WATCHED_DRAWN = 6
_FLAGGED = (Key("point", "Within what chance explains"), Key("flag", "Flagged: look into it"))


def build(context: Context) -> Page:
    """Raises NotThere for a clinic or device the reader does not reach."""
    state = context.state
    context.owned(state.device)
    groupings = list(GROUPINGS) if context.account.scope.every_clinic else ["operator", "device"]
    by = state.by if state.by in groupings else groupings[0]
    rows = context.queries.read(
        "group", metrics=[RATIO, REPORTING], scopes=["clinic", by], clinic=context.clinic
    )
    clinics = _of(rows, RATIO, "clinic")
    grouped = _narrowed(context, _of(rows, RATIO, by))
    tabs = [(GROUPINGS[each], state.url(by=each), each == by) for each in groupings]
    panels = [_funnel(context, clinics), _crude(context, clinics), _forest(context, by, grouped)]
    if context.account.scope.every_clinic:
        panels.append(_surveillance(context))
    panels.append(_reporting(context, _of(rows, REPORTING, "clinic")))
    return Page(
        say("Safety, {name}", name=context.title),
        "Followed-up sessions of the last 365 days, held against the others with the same case "
        "mix. A flag asks a "
        "person to look; it is not proof of harm.",
        panels=tuple(panels),
        tabs=tuple(tabs),
    )


def _of(rows: list[Row], metric_id: str, scope: str) -> list[Row]:
    return [row for row in rows if (row["metric_id"], row["scope"]) == (metric_id, scope)]


def _narrowed(context: Context, rows: list[Row]) -> list[Row]:
    """The groups that the filters leave."""
    state = context.state
    wanted = {"device": state.device, "protocol": state.protocol, "skin_type": state.skin}
    return [row for row in rows if wanted.get(row["scope"]) in (None, row["scope_id"])]


def _funnel(context: Context, rows: list[Row]) -> Panel:
    data = group_data(context, rows)
    top = max((each["expected"] or 0.0 for each in data), default=0.0)
    limits = context.queries.read("funnel", top=max(5.0, 1.1 * top)) if data else []
    legend = (*_FLAGGED, Key("limits", "95 of 100 lie within by chance"), Key("outer", "998 of 1000"))
    chart = Chart(charts.funnel(data, limits), describe_groups(data, "Funnel plot of clinics"), legend, 380)
    table = tables.group_table(context, "clinics", "Clinics, observed over expected", rows, named="Clinic")
    title = "Clinics: observed over expected"
    return Panel("clinics", title, table, chart=chart if data else None, **freshness_of(rows, context.now))


def _crude(context: Context, clinics: list[Row]) -> Panel:
    """The crude rate beside the adjusted ratio: a bad case mix is no bad clinic."""
    results = index(context.queries.results((INCIDENCE,)))
    lines = [
        Line(
            row["scope_id"],
            (
                Cell(group_name(context, row), href=group_url(context, row)),
                figure(results.get((INCIDENCE, "clinic", row["scope_id"]))),
                figure(row),
                text(finding(row)),
            ),
        )
        for row in clinics
    ]
    columns = (
        Column("name", "Clinic"),
        Column("crude", "Crude: per 100 sessions", numeric=True, parts=FIGURE),
        Column("adjusted", "Adjusted: observed / expected", numeric=True, parts=FIGURE),
        Column("finding", "Finding"),
    )
    table = Table(
        "crude",
        "Crude and adjusted",
        columns,
        tuple(lines),
        "No clinic has been compared yet.",
        sort="name",
        wide=44,
    )
    note = (
        "The crude rate counts every patient alike. The adjusted one expects what the same "
        "skin types, concerns, "
        "areas, depths and ages have elsewhere; it counts sessions at least 14 days old."
    )
    return Panel("crude", "Crude and adjusted", table, note, **freshness_of(clinics, context.now))


def _forest(context: Context, by: str, rows: list[Row]) -> Panel:
    data = group_data(context, rows)
    drawn = data[:_MOST_DRAWN]
    what = say("Forest plot: {groups}", groups=say(GROUPINGS[by]))
    chart = Chart(
        charts.forest(drawn, "observed / expected"),
        describe_groups(data, what),
        _FLAGGED,
        90 + 22 * len(drawn),
    )
    table = tables.group_table(
        context, "groups", GROUPINGS[by], rows, named=by.replace("_", " ").capitalize()
    )
    note = (
        say("The {n} highest are drawn; the table has all {all}.", n=_MOST_DRAWN, all=len(data))
        if len(data) > _MOST_DRAWN
        else ""
    )
    title = say("{groups}: observed over expected", groups=say(GROUPINGS[by]))
    return Panel("groups", title, table, note, chart if data else None, **freshness_of(rows, context.now))


def _surveillance(context: Context) -> Panel:
    """Lots and firmware looked at in sequence; the limit counts every look."""
    looks = context.queries.read("look", most=_WATCHED_DRAWN)
    data = []
    for place, look in enumerate(looks):
        name = f"{words.plain(look['scope'])} {look['scope_id']}"
        following = looks[place + 1] if place + 1 < len(looks) else None
        last = following is None or (following["scope"], following["scope_id"]) != (
            look["scope"],
            look["scope_id"],
        )
        share = look["statistic"] / look["critical_value"] if look["critical_value"] else None
        data.append(
            {
                "on": f"{look['as_of']:%Y-%m-%d}",
                "day": words.date(look["as_of"].date()),
                "name": name,
                "share": share,
                "last": last,
                "text": say(
                    "{part} of {whole}",
                    part=number(look["statistic"], 2),
                    whole=number(look["critical_value"], 2),
                )
                if look["critical_value"]
                else "–",
                "counts": words.observed_and_expected(look["events"], look["expected"]),
            }
        )
    lines = [
        Line(
            f"{look['scope']}.{look['scope_id']}.{look['look']}",
            (
                Cell(f"{words.plain(look['scope'])} {look['scope_id']}", raw={"": look["scope_id"]}),
                Cell(words.date(look["as_of"].date()), raw={"": look["as_of"].isoformat()}),
                Cell(str(look["events"]), raw={"": look["events"]}),
                Cell(number(look["expected"], 2), raw={"": look["expected"]}),
                Cell(number(look["statistic"], 2), raw={"": look["statistic"]}),
                text(None)
                if look["critical_value"] is None
                else Cell(number(look["critical_value"], 2), raw={"": look["critical_value"]}),
                Cell("signal", tone="alert", raw={"": True})
                if look["signal"]
                else Cell("no signal", raw={"": False}),
            ),
        )
        for look in looks
    ]
    columns = (
        Column("watched", "Watched"),
        Column("looked_at", "Look"),
        Column("events", "Events", numeric=True),
        Column("expected", "Expected", numeric=True),
        Column("statistic", "Statistic", numeric=True),
        Column("critical", "Critical value", numeric=True),
        Column("signal", "Finding"),
    )
    table = Table(
        "looks",
        "Looks of the sequential surveillance",
        columns,
        tuple(lines),
        "No look has been taken yet.",
        shown=60,
        wide=44,
    )
    highest = max(data, key=lambda each: each["share"] or 0.0, default=None)
    said = (
        say("Nearest to its limit: {name}, {value}.", name=highest["name"], value=highest["text"])
        if highest
        else say("No look yet.")
    )
    chart = Chart(
        charts.surveillance(data),
        say(
            "Step chart of sequential surveillance of lots and firmware. {said} The table has every look.",
            said=said,
        ),
        (Key("own", "A lot or firmware"), Key("rule", "Limit: at 1 it signals")),
    )
    note = say(
        "The {n} lots and firmware nearest to their limit. Looking daily costs nothing: the limit "
        "counts every look.",
        n=_WATCHED_DRAWN,
    )
    data_to = words.moment(max(look["as_of"] for look in looks)) if looks else ""
    return Panel("looks", "Sequential surveillance", table, note, chart if data else None, data_to)


def _reporting(context: Context, rows: list[Row]) -> Panel:
    data = group_data(context, rows)
    chart = Chart(
        charts.forest(data, "reported / expected of other clinics' patients"),
        describe_groups(data, "Forest plot of reporting by clinic"),
        _FLAGGED,
        90 + 22 * len(data),
    )
    table = tables.group_table(context, "under_reporting", "Reporting by clinic", rows, named="Clinic")
    note = "Far below 1 a clinic may not ask, or not report: look at its follow-up coverage first."
    return Panel(
        "under_reporting",
        "Does everybody report?",
        table,
        note,
        chart if data else None,
        **freshness_of(rows, context.now),
    )
