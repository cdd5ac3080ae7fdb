"""What a page is built from: who reads, in which state, at which moment, and the queries of one snapshot."""

import datetime as dt
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from dashboards.accounts import Account
from dashboards.audit import Audit
from dashboards.language import say
from dashboards.queries import Queries, Row
from dashboards.saved import View, listed
from dashboards.state import State

NETWORK = "network"


class NotThere(Exception):
    """What the address names does not exist, or the reader's scope does not reach it: both look the same."""


@dataclass(frozen=True)
class Context:
    """One reader, one state, one snapshot."""

    account: Account
    state: State
    queries: Queries
    now: dt.datetime
    audit: Audit
    accounts: Path

    @cached_property
    def clinics(self) -> dict[str, Row]:
        """The reader's clinics by clinic_id, by name."""
        return {row["clinic_id"]: row for row in self.queries.clinics()}

    @cached_property
    def saved(self) -> list[View]:
        """The reader's saved views."""
        return listed(self.accounts, self.account.name)

    @cached_property
    def network_seen(self) -> bool:
        """Whether the reader sees any of the network's totals."""
        return self.account.scope.every_clinic or bool(self.queries.read("network_seen"))

    @cached_property
    def chosen(self) -> str:
        """The clinic_id or `network` the page is about; "" for a reader without clinics. Raises NotThere."""
        wanted = self.state.clinic
        default = NETWORK if self.account.scope.every_clinic else next(iter(self.clinics), "")
        if wanted is None:
            return default
        if wanted in self.clinics or (wanted == NETWORK and self.network_seen):
            return wanted
        raise NotThere

    @property
    def clinic(self) -> str | None:
        """The chosen clinic; null for the network."""
        return None if self.chosen in (NETWORK, "") else self.chosen

    @property
    def scope_name(self) -> str:
        return NETWORK if self.chosen == NETWORK else "clinic"

    @property
    def title(self) -> str:
        """What the page is about, in words."""
        if not self.chosen:
            return say("No clinic")
        return say("Network") if self.clinic is None else str(self.clinics[self.chosen]["display_name"])

    @property
    def time_zone(self) -> str:
        """The clock of what the page is about: the clinic's own, UTC for the network."""
        return "UTC" if self.clinic is None else str(self.clinics[self.clinic]["time_zone"])

    @cached_property
    def freshness(self) -> Row:
        return self.queries.freshness()

    @property
    def as_of(self) -> dt.datetime:
        """The newest computed day; the reader's now where nothing was computed yet."""
        return self.freshness["newest_as_of"] or self.now

    @property
    def start(self) -> dt.datetime:
        """Where the chosen period begins."""
        return self.as_of - dt.timedelta(weeks=int(self.state.weeks))

    def name_of(self, clinic_id: str | None) -> str:
        """A clinic in words; its id where the reader does not see it."""
        known = self.clinics.get(clinic_id or "")
        return str(known["display_name"]) if known else str(clinic_id or "–")

    def owned(self, wanted: str | None) -> tuple[str | None, str | None]:
        """`<clinic_id>/<id>` in two, once the clinic is the reader's. Raises NotThere."""
        if wanted is None:
            return None, None
        clinic_id, slash, its = wanted.partition("/")
        if clinic_id not in self.clinics or not slash or not its:
            raise NotThere
        return clinic_id, its
