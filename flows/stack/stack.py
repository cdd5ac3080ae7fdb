"""One machine's stack: which processes there are, on which ports, and when they are ready."""

import shutil
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from flows import event_source
from flows.settings import Settings
from flows.stack import broker, ports, state
from flows.stack.supervisor import Program, Supervisor
from producers.contracts import SettingsError

START_SECONDS = 90.0
"""Longest wait for a component; a broker that was killed needs up to 26 s to recover its log."""
MINIMUM_FREE_BYTES = 500 * 2**20
"""Below this much free space the stack does not start: a broker on a full disk neither logs nor exits."""

THRIFT = {
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_TRIM_THRESHOLD_": "1048576",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
}
"""Environment of every process: many threads allocate in bursts, and glibc would keep an arena for each."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Component:
    """A part of the stack and how to ask whether it is ready."""

    name: str
    ready: Callable[[], bool]


class Stack:
    """The processes of one home. Use after `state.held(home)`; `stop()` leaves nothing running."""

    def __init__(self, settings: Settings, simulate: list[str] | None = None) -> None:
        home = settings.home.resolve()
        home.mkdir(parents=True, exist_ok=True)
        _check_space(home)
        last = state.read(home).get("ports", {})
        self._embedded_broker = settings.kafka_bootstrap_servers is None
        self._embedded_prefect = settings.prefect_api_url is None
        self._ports = {
            "dashboard": ports.choose(
                settings.dashboard_port,
                previous=last.get("dashboard"),
                name="dashboard",
                variable="DERMASTREAM_DASHBOARD_PORT",
            ),
            "metrics": ports.choose(
                settings.metrics_port,
                previous=last.get("metrics"),
                name="metrics",
                variable="DERMASTREAM_METRICS_PORT",
            ),
            **{
                name: ports.choose(0, previous=last.get(name), name=name, variable="")
                for name in ("broker", "controller", "prefect")
            },
        }
        self.settings = settings.model_copy(
            update={
                "home": home,
                "kafka_bootstrap_servers": settings.kafka_bootstrap_servers
                or f"127.0.0.1:{self._ports['broker']}",
                "prefect_api_url": settings.prefect_api_url
                or f"http://127.0.0.1:{self._ports['prefect']}/api",
                "dashboard_port": self._ports["dashboard"],
                "metrics_port": self._ports["metrics"],
            }
        )
        self._supervisor = Supervisor(home, self._programs(simulate), self._environment())

    @property
    def dashboard_url(self) -> str:
        return f"http://{self.settings.dashboard_host}:{self._ports['dashboard']}"

    @property
    def prefect_url(self) -> str:
        return (self.settings.prefect_api_url or "").removesuffix("/api")

    def start(self, say: Say, should_stop: Callable[[], bool]) -> bool:
        """Start everything and wait until it is ready; False when told to stop before that.

        Raises SettingsError naming the component that does not come up, with its last line.
        """
        state.write(
            self.settings.home,
            {
                "ports": self._ports,
                "kafka_bootstrap_servers": self.settings.kafka_bootstrap_servers,
                "prefect_api_url": self.settings.prefect_api_url,
                "dashboard_url": self.dashboard_url,
                "metrics_url": f"http://{self.settings.metrics_host}:{self._ports['metrics']}/metrics",
            },
        )
        self._supervisor.start()
        waiting = self._components()
        begun = time.monotonic()
        while waiting and not should_stop():
            for component in [c for c in waiting if c.ready()]:
                say(f"{component.name} is up ({time.monotonic() - begun:.0f} s)")
                waiting.remove(component)
            self._check_alive(waiting, begun)
            time.sleep(0.1)
        return not waiting

    def states(self) -> Mapping[str, str]:
        return self._supervisor.states()

    def stop_simulator(self) -> None:
        self._supervisor.stop_program("simulator")

    @property
    def alive(self) -> bool:
        return self._supervisor.alive

    def stop(self) -> None:
        self._supervisor.stop()

    def _check_alive(self, waiting: list[Component], begun: float) -> None:
        states = self._supervisor.states()
        for component in waiting:
            program = component.name.split()[-1]
            dead = states.get(program) == "FATAL"
            if dead or not self._supervisor.alive or time.monotonic() - begun > START_SECONDS:
                why = self._supervisor.last_line(program) or "it wrote nothing"
                raise SettingsError(f"{component.name} does not come up: {why}")

    def _components(self) -> list[Component]:
        bootstrap = self.settings.kafka_bootstrap_servers or ""
        security = self.settings.kafka_security
        return [
            Component("broker", lambda: event_source.answers(bootstrap, security, timeout_ms=300)),
            Component("prefect", lambda: _answers(f"{self.settings.prefect_api_url}/health")),
            Component("dashboard", lambda: _answers(f"{self.dashboard_url}/healthz")),
        ]

    def _programs(self, simulate: list[str] | None) -> list[Program]:
        home = self.settings.home
        ours = [sys.executable, "-m", "flows.cli"]
        programs = [
            Program("worker", [*ours, "work"], 30),
            Program("dashboard", [*ours, "dashboard"], 40),
        ]
        if self.settings.query_port:
            programs.append(Program("query", [*ours, "query", "serve"], 45))
        if self._embedded_broker:
            command = broker.prepare(
                home, port=self._ports["broker"], controller_port=self._ports["controller"]
            )
            programs.append(Program("broker", command, 10))
        if self._embedded_prefect:
            programs.append(Program("prefect", _prefect_command(self._ports["prefect"]), 20))
        if simulate is not None:
            programs.append(Program("simulator", [*ours, "simulate", *simulate], 50))
        return programs

    def _environment(self) -> dict[str, str]:
        """What every process inherits: our settings, and Prefect's switched to local and quiet."""
        given = self.settings.model_dump(mode="json", exclude_none=True)
        environment = {Settings.variable(name): str(value) for name, value in given.items()}
        environment |= {
            "PREFECT_HOME": str(self.settings.home / "prefect"),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "PREFECT_SERVER_API_CSRF_PROTECTION_ENABLED": "true",
            "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",
            "PREFECT_LOGGING_LEVEL": "WARNING",
            "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
            "PREFECT_CLIENT_MAX_RETRIES": "1",
            # Prefect's database grows by every run, log line and event: keep two weeks
            "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
            "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": "P14D",
            "PREFECT_SERVER_EVENTS_RETENTION_PERIOD": "P14D",
            "PYTHONUNBUFFERED": "1",
        } | THRIFT
        if self._embedded_prefect:
            auth = state.prefect_auth(self.settings.home)
            environment |= {"PREFECT_SERVER_API_AUTH_STRING": auth, "PREFECT_API_AUTH_STRING": auth}
        return environment


def _prefect_command(port: int) -> list[str]:
    return [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=1).is_success
    except httpx.HTTPError:
        return False


def _check_space(home: Path) -> None:
    free = shutil.disk_usage(home).free
    if free < MINIMUM_FREE_BYTES:
        raise SettingsError(
            f"only {free / 2**20:.0f} MB free in {home}: "
            f"at least {MINIMUM_FREE_BYTES / 2**20:.0f} MB are needed"
        )
