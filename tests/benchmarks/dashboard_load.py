"""Fifty managers at once: `python -m tests.benchmarks.dashboard_load --home .dermastream`.

Serves the dashboard over the warehouse of that home on a free port, in a process of its own, sends Locust's
users through the pages as managers go, and prints one JSON document: requests, failures and what they were,
median and 95th percentile in milliseconds by page and together, and the server's memory. Ends with 1 where a
budget is not held: 95th percentile at most 500 ms, no failure, at most 350 MB.
"""

import argparse
import datetime as dt
import json
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

PAGES = {
    "/": 5, "/signals": 3, "/safety": 3, "/clinic?clinic={clinic}": 4, "/adherence?clinic={clinic}": 2,
    "/protocols": 1, "/trace": 1, "/health": 1, "/dictionary": 1,
}  # fmt: skip
"""Addresses and how often each is asked for beside the others."""

MOST_MILLISECONDS, MOST_MEGABYTES = 500, 350
NAME, PASSWORD = "locust", "a password for a minute"
THINKING_SECONDS = (1.0, 5.0)
"""Between two clicks of one user [assumption]."""


def main() -> int:
    given = _arguments()
    if given.serve:
        return _serve(given)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.benchmarks.dashboard_load", "--serve", folder]
        server = subprocess.Popen([*command, "--port", str(port), "--home", str(given.home)])
        try:
            wait(port, server)
            found = _drive(port, sessions(Path(folder), given.users), given.seconds)
            found["server_mb"] = _memory(server.pid)
        finally:
            server.terminate()
            server.wait(20)
    print(json.dumps(found, indent=2))
    together = found["pages"]["Aggregated"]
    held = together["p95_ms"] <= MOST_MILLISECONDS and not together["failures"]
    return 0 if held and found["server_mb"] <= MOST_MEGABYTES else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, default=Path(".dermastream"))
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


def _serve(given: argparse.Namespace) -> int:
    from dashboards import accounts
    from dashboards.serve import serve
    from dashboards.settings import DashboardSettings
    from warehouse.store import Location

    folder = Path(given.serve)
    accounts.add_user(folder / "accounts.sqlite", NAME, PASSWORD, "network_manager", ())
    settings = DashboardSettings(
        Location.under(given.home), folder / "accounts.sqlite", folder / "secret",
        f"http://127.0.0.1:{given.port}", given.home / "reports",
    )  # fmt: skip
    serve(settings, "127.0.0.1", given.port, lambda: dt.datetime.now(dt.UTC))
    return 0


def wait(port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while server.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the server did not start")


def sessions(folder: Path, users: int) -> list[str]:
    """A session for each user, begun here: fifty log-ins at once from one address would have to wait."""
    from dashboards import accounts

    path = folder / "accounts.sqlite"
    sessions = accounts.Sessions(
        path, accounts.read_secret(folder / "secret"), lambda: dt.datetime.now(dt.UTC)
    )
    account = accounts.list_users(path)[0]
    return [sessions.start(account) for _ in range(users)]


def _drive(port: int, tokens: list[str], seconds: int) -> dict[str, Any]:
    """Locust in this process; it replaces sockets by its own, so nothing else may run here afterwards."""
    from gevent import sleep
    from locust import HttpUser, between, task
    from locust.env import Environment

    class Manager(HttpUser):
        host = f"http://127.0.0.1:{port}"
        wait_time = between(*THINKING_SECONDS)

        def on_start(self) -> None:
            self.client.cookies.set("dermastream_session", tokens.pop())
            options = self.client.get("/", name="/").text.split('name="clinic"')[1].split("</select>")[0]
            self.clinics = [part.split('"')[0] for part in options.split('value="')[1:]][1:] or ["network"]

        @task
        def look(self) -> None:
            import random

            address = random.choices(list(PAGES), list(PAGES.values()))[0]
            self.client.get(address.format(clinic=random.choice(self.clinics)), name=address)

    environment = Environment(user_classes=[Manager])
    runner = environment.create_local_runner()
    users = len(tokens)
    runner.start(users, spawn_rate=10)
    sleep(seconds)
    runner.quit()
    stats = environment.stats
    rows = {entry.name: entry for entry in stats.entries.values()} | {"Aggregated": stats.total}
    return {
        "users": users,
        "seconds": seconds,
        "errors": [f"{each.name}: {each.error} ({each.occurrences})" for each in stats.errors.values()],
        "pages": {
            name: {
                "requests": entry.num_requests,
                "failures": entry.num_failures,
                "median_ms": entry.median_response_time,
                "p95_ms": entry.get_response_time_percentile(0.95),
            }
            for name, entry in rows.items()
        },
    }


def _memory(pid: int) -> float:
    import psutil

    return round(psutil.Process(pid).memory_info().rss / 2**20, 1)


if __name__ == "__main__":
    sys.exit(main())
