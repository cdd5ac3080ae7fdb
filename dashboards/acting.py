"""What people do from a page, in a short-lived process: the web process itself only ever reads the warehouse.

Run as a file it is that process: one JSON order on its input, `{"refused": …}` or `{}` on its output. As a
module
it starts that process. Orders go through the same functions as the command line's.
"""

import datetime as dt
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from producers.contracts.errors import CheckFailed, SettingsError, WarehouseConflict

_SECONDS = 120
_ATTEMPTS = 5
_one_at_a_time = threading.Lock()


class Refused(ValueError):
    """The order breaks a rule, which the message names."""


def act(order: dict[str, Any]) -> None:
    """Carry out one order. Raises Refused naming the rule."""
    # -P: our folder must not come before the libraries on the path.
    command = [sys.executable, "-P", __file__]
    given = json.dumps(order).encode()
    with _one_at_a_time:
        done = subprocess.run(command, input=given, capture_output=True, check=True, timeout=_SECONDS)
    if refused := json.loads(done.stdout).get("refused"):
        raise Refused(refused)


def _main(order: dict[str, Any]) -> dict[str, str]:
    orders: dict[str, Callable[..., None]] = {"signal": _signal, "replay": _replay}
    carry_out = orders[order.pop("kind")]
    for _ in range(_ATTEMPTS):
        try:
            carry_out(**order)
            return {}
        except (CheckFailed, SettingsError) as error:
            return {"refused": str(error)}
        except WarehouseConflict:
            continue
    return {"refused": "others were writing at the same moment; please try again"}


def _signal(
    catalog: str, data_path: str, signal: str, action: str, by: str, at: str, **what: str | None
) -> None:
    """`what`: owner, until (a date: the first day on which it may come back, UTC) and note, as far as
    given."""
    from warehouse import signals, store

    location = store.Location(catalog, data_path)
    until = (
        dt.datetime.fromisoformat(day).replace(tzinfo=dt.UTC) if (day := what.pop("until", None)) else None
    )
    connection = store.connect(location)
    try:
        moment = dt.datetime.fromisoformat(at)
        signals.act(connection, location, signal, action, by=by, at=moment, until=until, **what)
    finally:
        connection.close()


def _replay(
    catalog: str, data_path: str, rule: str, by: str, at: str, batch_id: str, privacy_key: str | None
) -> None:
    """Land what waits under one rule after all; a key only where there is one, as the command line does."""
    from warehouse import quarantine, store
    from warehouse.tombstones import Key, Tombstones

    location = store.Location(catalog, data_path)
    key = Key.of(Path(privacy_key)) if privacy_key and Path(privacy_key).exists() else None
    tombstones = Tombstones(key)
    connection = store.connect(location)
    try:
        tombstones.refresh(connection)
        if events := quarantine.choose(connection, quarantine.Choice(rule=rule)):
            moment = dt.datetime.fromisoformat(at)
            quarantine.replay(
                connection, location, events, batch_id=batch_id, by=by, at=moment, tombstones=tombstones
            )
    finally:
        connection.close()


if __name__ == "__main__":
    json.dump(_main(json.load(sys.stdin)), sys.stdout)
