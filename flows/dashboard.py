"""The dashboard as a process of the service."""

from dashboards.app import DashboardSettings
from dashboards.serve import serve
from dashboards.settings import OpenId
from flows.clock import utc_now
from flows.settings import Settings


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises SettingsError where it cannot start."""
    folder = settings.home / "dashboard"
    folder.mkdir(parents=True, exist_ok=True)
    port = settings.dashboard_port or 8000
    serve(
        DashboardSettings(
            location=settings.location,
            accounts=folder / "accounts.sqlite",
            secret=folder / "secret",
            base_url=settings.dashboard_url or f"http://{settings.dashboard_host}:{port}",
            archive=settings.archive_dir,
            privacy_key=settings.privacy_key,
            openid=_openid(settings),
        ),
        settings.dashboard_host,
        port,
        utc_now,
    )


def _openid(settings: Settings) -> OpenId | None:
    if not settings.oidc_issuer or not settings.oidc_client_id:
        return None
    return OpenId(
        issuer=settings.oidc_issuer,
        client_id=settings.oidc_client_id,
        client_secret=settings.oidc_client_secret,
        account_claim=settings.oidc_account_claim,
        cafile=settings.oidc_cafile,
    )
