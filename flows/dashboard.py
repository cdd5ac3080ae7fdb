"""The dashboard as a process of the service."""

from dashboards.app import DashboardSettings
from dashboards.serve import serve
from flows.settings import Settings
from flows.worker import utc_now


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises SettingsError where it cannot start."""
    folder = settings.home / "dashboard"
    folder.mkdir(parents=True, exist_ok=True)
    serve(
        DashboardSettings(
            location=settings.location,
            accounts=folder / "accounts.sqlite",
            secret=folder / "secret",
            base_url=f"http://{settings.dashboard_host}:{settings.dashboard_port}",
            archive=settings.archive_dir,
        ),
        settings.dashboard_host,
        settings.dashboard_port or 8000,
        utc_now,
    )
