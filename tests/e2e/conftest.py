"""The whole stack, as a newcomer starts it, once for this folder's tests."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

COMMAND = [sys.executable, "-m", "flows.cli"]


def dermastream(
    *arguments: str, home: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    return subprocess.run(
        [*COMMAND, *arguments, *(["--home", str(home)] if home else [])],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environment},
    )


@dataclass
class Demo:
    """A running `dermastream demo`."""

    home: Path
    process: subprocess.Popen[str]
    said: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return (self.home.parent / "demo.log").read_text()

    @property
    def url(self) -> str:
        return re.search(r"Dashboard\s+(\S+)", self.text)[1]  # type: ignore[index]

    def login(self, name: str) -> str:
        """The password printed for a demo account."""
        return re.search(rf"log in as {name} / (\S+)", self.text)[1]  # type: ignore[index]

    def wait_until_greeted(self) -> None:
        deadline = time.monotonic() + 240
        while "Ctrl-C stops everything" not in self.text:
            assert self.process.poll() is None, self.text
            assert time.monotonic() < deadline, self.text

    def ask(self, sql: str) -> list[dict[str, Any]]:
        done = dermastream("sql", sql, "--format", "json", home=self.home)
        assert done.returncode == 0, done.stderr
        return list(json.loads(done.stdout))

    def wait_until_landed(self) -> None:
        """Until the simulated history is landed, and the metrics are computed from it."""
        deadline = time.monotonic() + 240
        while not self._history_landed():
            assert time.monotonic() < deadline, dermastream("status", home=self.home).stdout
        done = dermastream("metrics", "run", home=self.home)
        assert done.returncode == 0, done.stderr

    def _history_landed(self) -> bool:
        state = self.home / "simulator.json"
        if not state.exists():
            return False
        produced = json.loads(state.read_text())
        found = json.loads(dermastream("status", "--json", home=self.home).stdout)
        return bool(produced["reached"] >= produced["first_run_at"] and found["lag_events"] == 0)

    def processes(self) -> list[psutil.Process]:
        """Every live process that names our home."""
        found = []
        for process in psutil.process_iter(["cmdline"]):
            if any(str(self.home) in part for part in process.info["cmdline"] or []):
                found.append(process)
        return found


def start(home: Path, *arguments: str) -> Demo:
    with open(home.parent / "demo.log", "w") as log:
        process = subprocess.Popen(
            [*COMMAND, "demo", "--home", str(home), *arguments], stdout=log, stderr=log, text=True
        )
    return Demo(home, process)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A small network: four clinics, 150 days."""
    running = start(
        tmp_path_factory.mktemp("demo") / "home", "--clinics", "4", "--days", "150", "--seed", "7"
    )
    try:
        running.wait_until_greeted()
        running.wait_until_landed()
        yield running
    finally:
        if running.process.poll() is None:
            running.process.send_signal(signal.SIGINT)
            running.process.wait(60)
