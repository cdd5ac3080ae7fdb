"""`dermastream topics`: topics of a clinic's own, so that the broker itself keeps clinics apart."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from flows.commands import Home, settings_of

app = App(name="topics", help="Kafka topics of single clinics.")


@app.command
def add(
    clinic_id: str,
    /,
    *,
    principal: Annotated[
        str | None, Parameter(help="Kafka principal that alone may write to them, like User:north")
    ] = None,
    replicas: Annotated[int, Parameter(help="Copies of each topic")] = 1,
    home: Home = None,
) -> None:
    """Create a clinic's own topics and let its principal write to them, and to nothing else.

    Landing reads them from its next run on. What lies there must be that clinic's, or is quarantined.
    """
    from producers.publisher import create_clinic_topics

    settings = _with_broker(home)
    created = create_clinic_topics(
        settings.kafka_bootstrap_servers,
        settings.kafka_security,
        clinic_id=clinic_id,
        principal=principal,
        replication_factor=replicas,
    )
    print("\n".join(created) or f"{clinic_id} has its topics already")


@app.command
def losses(
    *,
    accept: Annotated[
        bool, Parameter(negative="", help="Book them, so that landing goes on behind them")
    ] = False,
    by: Annotated[str, Parameter(help="Who accepts the loss")] = "",
    reason: Annotated[str, Parameter(help="Why it was lost")] = "",
    home: Home = None,
) -> None:
    """What Kafka no longer holds and was never landed: landing stops there until somebody accepts it."""
    from flows.clock import utc_now
    from flows.event_source import EventSource
    from producers.contracts import SettingsError
    from warehouse import losses, store

    if accept and not (by.strip() and reason.strip()):
        raise SettingsError("accepting a loss needs --by and --reason")
    settings = _with_broker(home)
    source = EventSource(settings.kafka_bootstrap_servers, security=settings.kafka_security)
    try:
        with store.connect(settings.location, read_only=not accept) as connection:
            found = losses.losses(connection, source.bounds(), source.topic_ids())
            print("\n".join(map(str, found)) or "nothing is lost")
            if accept and found:
                losses.accept(connection, settings.location, found, by=by, reason=reason, at=utc_now())
                print("accepted; landing goes on by itself within a minute, or after `dermastream up`")
    finally:
        source.close()


def _with_broker(home: Path | None) -> Any:
    """The settings in force. Raises SettingsError where they name no broker."""
    from producers.contracts import SettingsError

    settings = settings_of(home)
    if not settings.kafka_bootstrap_servers:
        raise SettingsError("which broker? Set KAFKA_BOOTSTRAP_SERVERS, or start `dermastream up` first")
    return settings
