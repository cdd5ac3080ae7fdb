"""Who may receive what: known accounts, at addresses of allowed domains, within their own scope.

Asked when a delivery is planned and again right before it is sent: who was removed in between gets nothing.
"""

import datetime as dt
import email.utils
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dashboards.accounts import Account, list_users
from flows.delivery.sender import Withheld
from producers.contracts import SettingsError
from warehouse.deliveries import Delivery, Ledger, Recipient


@dataclass(frozen=True)
class Policy:
    """The rules: the file of accounts, the ledger that knows addresses, and the domains mail may go to."""

    accounts: Path
    ledger: Ledger
    domains: Sequence[str]

    def recipient(self, delivery: Delivery, *, at: dt.datetime) -> Recipient:
        """The recipient of a delivery. Raises Withheld naming the rule that is in the way."""
        name = delivery.key.recipient
        found = next((each for each in self.ledger.recipients() if each.account == name), None)
        if found is None:
            raise Withheld(f"{name} is no recipient")
        account = self._accounts().get(name)
        if account is None:
            raise Withheld(f"{name} has no account")
        if reason := self._in_the_way(
            found, account, delivery.key.scope, at, test=delivery.key.kind == "test"
        ):
            raise Withheld(reason)
        return found

    def readers(self, scope: str, *, at: dt.datetime, signals: bool) -> list[Recipient]:
        """Who gets what is about `scope` (network, or clinic-<id>): the weekly report, or signals. A clinic's
        edition goes to that clinic's people, the network's to those who see all."""
        accounts = self._accounts()
        return [
            each
            for each in self.ledger.recipients()
            if (each.signals if signals else each.weekly)
            and each.account in accounts
            and _meant_for(accounts[each.account], scope)
            and not self._in_the_way(each, accounts[each.account], scope, at)
        ]

    def add(self, recipient: Recipient) -> None:
        """Remember a recipient. Raises SettingsError for an unknown account or a foreign address."""
        if recipient.account not in self._accounts():
            raise SettingsError(f"no account {recipient.account!r}: mail goes to known users only")
        if email.utils.parseaddr(recipient.address)[1] != recipient.address or "@" not in recipient.address:
            raise SettingsError("the address is not one of the form name@domain")
        if not self._allowed(recipient.address):
            raise SettingsError(f"{_domain(recipient.address)} is not in DERMASTREAM_MAIL_DOMAINS")
        self.ledger.remember(recipient)

    def _accounts(self) -> dict[str, Account]:
        return {each.name: each for each in list_users(self.accounts)} if self.accounts.exists() else {}

    def _in_the_way(
        self, recipient: Recipient, account: Account, scope: str, at: dt.datetime, *, test: bool = False
    ) -> str | None:
        if not self._allowed(recipient.address):
            return f"{_domain(recipient.address)} is not in DERMASTREAM_MAIL_DOMAINS"
        if not may_see(account, scope):
            return f"{recipient.account} may not see {scope}"
        if recipient.bounced and not test:
            return f"{recipient.account}: the address was refused: {recipient.bounced}"
        if recipient.paused_until and recipient.paused_until > at and not test:
            return f"{recipient.account} has paused mail until {recipient.paused_until:%Y-%m-%d}"
        return None

    def _allowed(self, address: str) -> bool:
        return _domain(address) in {domain.lower() for domain in self.domains}


def may_see(account: Account, scope: str) -> bool:
    """Whether the account may read what is about `scope`."""
    if account.scope.every_clinic:
        return True
    return scope.startswith("clinic-") and account.scope.allows(scope.removeprefix("clinic-"))


def _meant_for(account: Account, scope: str) -> bool:
    """Those who see all clinics get the network's edition, not fifty clinics' besides."""
    return may_see(account, scope) and account.scope.every_clinic == (scope == "network")


def _domain(address: str) -> str:
    return address.rpartition("@")[2].lower()


def domains_of(text: str) -> tuple[str, ...]:
    """`a.example, b.example` as its domains."""
    parts: Iterable[str] = (part.strip() for part in text.split(","))
    return tuple(part for part in parts if part)
