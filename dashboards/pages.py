"""Every page there is: where it stands, who it is for, which filters it takes and what builds it.

The navigation, the routes, the exports and the access tests all go through this list, so a new page is one
line.
"""

from collections.abc import Callable
from dataclasses import dataclass

from dashboards.accounts import Account
from dashboards.page import Page
from dashboards.views import (
    adherence,
    clinic,
    dictionary,
    health,
    kept,
    overview,
    protocols,
    safety,
    signals,
    trace,
    trail,
)
from dashboards.views.context import Context


def _everybody(_: Account) -> bool:
    return True


def _network(account: Account) -> bool:
    """A protocol may be run by one clinic alone, so its numbers are for readers of all clinics."""
    return account.scope.every_clinic


def _people(account: Account) -> bool:
    return account.rights.people


def _audit(account: Account) -> bool:
    return account.rights.audit


@dataclass(frozen=True)
class Definition:
    """One page. `title` is its name in the navigation, empty for one that is reached by links only."""

    name: str
    path: str
    title: str
    build: Callable[[Context], Page]
    filters: tuple[str, ...] = ()
    allowed: Callable[[Account], bool] = _everybody
    under: str = ""


_ABOUT = ("clinic", "weeks")
_ALL = ("clinic", "weeks", "protocol", "device", "skin")

PAGES = (
    Definition("overview", "/", "Overview", overview.build, _ABOUT),
    Definition("signals", "/signals", "Signals", signals.build, ("clinic",)),
    Definition("signal", "/signal", "", signals.build_one, under="signals"),
    Definition("clinic", "/clinic", "Clinics", clinic.build, _ALL),
    Definition("safety", "/safety", "Safety", safety.build, ("clinic", "protocol", "device", "skin")),
    Definition("protocols", "/protocols", "Protocols", protocols.build, ("protocol",), _network),
    Definition("adherence", "/adherence", "Adherence", adherence.build, ("clinic", "device")),
    Definition("trace", "/trace", "Trace", trace.build, _ALL),
    Definition("session", "/session", "", trace.build_session, allowed=_people, under="trace"),
    Definition("health", "/health", "Data health", health.build, ("clinic",)),
    Definition("checks", "/checks", "", health.build_checks, ("clinic",), under="health"),
    Definition("dictionary", "/dictionary", "Dictionary", dictionary.build),
    Definition("metrics", "/metrics", "", dictionary.build_cards, under="dictionary"),
    Definition("views", "/views", "", kept.build),
    Definition("audit", "/audit", "Audit", trail.build, allowed=_audit),
)
BY_NAME = {page.name: page for page in PAGES}


def navigation(account: Account) -> list[Definition]:
    """The pages named in the navigation of that reader."""
    return [page for page in PAGES if page.title and page.allowed(account)]
