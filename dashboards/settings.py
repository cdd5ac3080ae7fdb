"""All the dashboard is told."""

from dataclasses import dataclass
from pathlib import Path

from warehouse.store import Location


@dataclass(frozen=True)
class OpenId:
    """An OpenID provider that readers may log in through.

    `client_secret` is null for a public client. `account_claim` is the claim that names the local account.
    """

    issuer: str
    client_id: str
    client_secret: str | None = None
    account_claim: str = "sub"
    cafile: Path | None = None


@dataclass(frozen=True)
class DashboardSettings:
    """Where the warehouse, accounts, secret and report archive are.

    `base_url` is how readers reach it; with https, cookies are for https only. `privacy_key` is the tombstone
    key, which a replay of refused events needs once anybody was erased. Without `openid` there are local
    accounts only.
    """

    location: Location
    accounts: Path
    secret: Path
    base_url: str
    archive: Path
    privacy_key: Path | None = None
    openid: OpenId | None = None

    @property
    def https(self) -> bool:
        return self.base_url.startswith("https://")

    @property
    def audit(self) -> Path:
        """The audit trail, beside the accounts."""
        return self.accounts.with_name("audit.sqlite")
