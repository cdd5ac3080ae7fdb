"""Free loopback ports."""

import contextlib
import socket

from producers.contracts import SettingsError


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether something could listen there now."""
    with contextlib.closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def choose(wanted: int, *, previous: int | None, name: str, variable: str) -> int:
    """The wanted port, else the one used last time, else any free one.

    Raises SettingsError where a port was asked for and is taken.
    """
    if wanted:
        if not is_free(wanted):
            raise SettingsError(f"port {wanted} of the {name} is taken: set {variable} to another, or to 0")
        return wanted
    if previous and is_free(previous):
        return previous
    return any_free()


def any_free() -> int:
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
