"""Running the stack's processes under `supervisord`: restarts, logs, ordered stop.

Every process waits by itself for what it needs, so they all start at once. Should our own process die,
the kernel tells `supervisord` (parent-death signal) and it stops the rest.
"""

import contextlib
import ctypes
import hashlib
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
import xmlrpc.client
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from supervisor.xmlrpc import SupervisorTransport

STOP_SECONDS = 6
"""Grace per process before it is killed; all together stop within 15 s."""
PATIENCE_SECONDS = 14.0
"""How long supervisord may take for all of them."""


@dataclass(frozen=True)
class Program:
    """A process of the stack. The lowest `priority` starts first and stops last."""

    name: str
    command: Sequence[str]
    priority: int
    environment: Mapping[str, str] = field(default_factory=dict)


class Supervisor:
    """One `supervisord` with its programs, all files under `<home>/run` and `<home>/logs`."""

    def __init__(self, home: Path, programs: Sequence[Program], environment: Mapping[str, str]) -> None:
        self._run = home / "run"
        self._logs = home / "logs"
        self._programs = programs
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._run.mkdir(parents=True, exist_ok=True)
        self._logs.mkdir(parents=True, exist_ok=True)
        configuration = self._run / "supervisord.conf"
        configuration.write_text(self._configuration())
        configuration.chmod(0o600)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", str(configuration)],
            env={**os.environ, **self._environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C reaches us alone; we stop the rest in order
            preexec_fn=_end_with_parent,
        )

    def states(self) -> dict[str, str]:
        """State of each program as supervisord names it (RUNNING, STARTING, BACKOFF, FATAL, …)."""
        try:
            found: Any = _proxy(socket_of(self._run)).supervisor.getAllProcessInfo()
        except (OSError, xmlrpc.client.Error):
            return {program.name: "UNKNOWN" for program in self._programs}
        return {info["name"]: info["statename"] for info in found}

    def stop_program(self, name: str) -> None:
        """Stop one program and wait for its end."""
        with contextlib.suppress(xmlrpc.client.Error):
            _proxy(socket_of(self._run)).supervisor.stopProcess(name)

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """Stop every program in reverse order, and see that none is left."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            # Its programs would outlive it: named while it is there, killed when it cannot start them again.
            left = psutil.Process(self._process.pid).children(recursive=True)
            self._process.kill()
            self._process.wait()
            for process in left:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
        with contextlib.suppress(FileNotFoundError):
            socket_of(self._run).unlink()
        self._process = None

    def last_line(self, name: str) -> str:
        """The last line a program wrote, for an error message."""
        with contextlib.suppress(OSError):
            lines = (self._logs / f"{name}.log").read_text(errors="replace").strip().splitlines()
            return lines[-1] if lines else ""
        return ""

    def _configuration(self) -> str:
        head = f"""\
[supervisord]
nodaemon=true
silent=true
logfile={self._logs / "supervisord.log"}
logfile_maxbytes=1MB
pidfile={self._run / "supervisord.pid"}
childlogdir={self._logs}
umask=077

[unix_http_server]
file={socket_of(self._run)}
chmod=0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""
        return head + "".join(self._section(program) for program in self._programs)

    def _section(self, program: Program) -> str:
        environment = ",".join(f'{k}="{_escape(v)}"' for k, v in program.environment.items())
        return f"""
[program:{program.name}]
command={_escape(shlex.join(program.command))}
priority={program.priority}
environment={environment}
autorestart=true
startsecs=1
startretries=20
stopsignal=TERM
stopwaitsecs={STOP_SECONDS}
stopasgroup=true
killasgroup=true
redirect_stderr=true
stdout_logfile={self._logs / f"{program.name}.log"}
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=1
"""


def socket_of(run: Path) -> Path:
    """The control socket: in the run folder, or in the temporary folder where that path is too long."""
    wanted = run / "supervisor.sock"
    if len(str(wanted)) < 100:  # the kernel's limit is 108 bytes, supervisord appends its pid
        return wanted
    digest = hashlib.sha256(str(run).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"dermastream-{digest}.sock"


def running_states(home: Path) -> dict[str, str]:
    """States of the programs of a stack that somebody else started; empty when none runs there."""
    with contextlib.suppress(OSError, xmlrpc.client.Error):
        found: Any = _proxy(socket_of(home / "run")).supervisor.getAllProcessInfo()
        return {info["name"]: info["statename"] for info in found}
    return {}


def _proxy(path: Path) -> Any:
    transport = SupervisorTransport(None, None, serverurl=f"unix://{path}")
    return xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)


def _escape(text: str) -> str:
    return text.replace("%", "%%")


def _end_with_parent() -> None:
    """Ask Linux for SIGTERM when the parent dies; elsewhere, an orphan must be stopped by hand."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


def wait_for_port(port: int, *, seconds: float) -> bool:
    """Whether something accepts connections there within the time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
        time.sleep(0.1)
    return False
