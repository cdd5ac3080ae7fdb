"""The one filter bar: what may be chosen on a page, within the reader's scope."""

from dataclasses import dataclass

from dashboards.pages import Definition
from dashboards.state import PERIODS, SKIN_TYPES
from dashboards.views.context import NETWORK, Context

_TITLES = {
    "clinic": "Clinic",
    "weeks": "Period",
    "protocol": "Protocol",
    "device": "Device",
    "skin": "Skin type",
}


@dataclass(frozen=True)
class Choice:
    """One select: `options` are (value, words); an empty value is "all"."""

    name: str
    title: str
    options: tuple[tuple[str, str], ...]
    chosen: str


@dataclass(frozen=True)
class Bar:
    """`hidden` is what else the form carries, so that nothing of the state is lost."""

    choices: tuple[Choice, ...]
    hidden: tuple[tuple[str, str], ...]


def bar(context: Context, definition: Definition) -> Bar:
    choices = tuple(
        choice
        for name in definition.filters
        if len((choice := _choice(context, name)).options) > 1 or name == "clinic"
    )
    return Bar(choices, tuple(context.state.hidden(choice.name for choice in choices)))


def _choice(context: Context, name: str) -> Choice:
    state = context.state
    if name == "clinic":
        options = [(NETWORK, "Network")] if context.network_seen else []
        options += [(clinic_id, str(row["display_name"])) for clinic_id, row in context.clinics.items()]
        return Choice(name, _TITLES[name], tuple(options), context.chosen)
    if name == "weeks":
        return Choice(name, _TITLES[name], tuple(PERIODS.items()), state.weeks)
    chosen = getattr(state, name) or ""
    options = [("", "All")]
    if name == "protocol":
        options += [(row["protocol_id"], row["protocol_id"]) for row in context.queries.protocols()]
    elif name == "skin":
        options += list(SKIN_TYPES.items())
    elif context.clinic is not None:
        rows = context.queries.read("device_name", clinic=context.clinic)
        options += [(f"{row['clinic_id']}/{row['device_id']}", row["device_id"]) for row in rows]
    if chosen and chosen not in dict(options):
        options.append((chosen, chosen))
    return Choice(name, _TITLES[name], tuple(options), chosen)
