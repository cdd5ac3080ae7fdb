"""`dermastream topics`: topics of a clinic's own, so that the broker itself keeps clinics apart."""

from typing import Annotated

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
    from producers.contracts import SettingsError
    from producers.publisher import create_clinic_topics

    settings = settings_of(home)
    if not settings.kafka_bootstrap_servers:
        raise SettingsError("which broker? Set KAFKA_BOOTSTRAP_SERVERS, or start `dermastream up` first")
    created = create_clinic_topics(
        settings.kafka_bootstrap_servers,
        settings.kafka_security,
        clinic_id=clinic_id,
        principal=principal,
        replication_factor=replicas,
    )
    print("\n".join(created) or f"{clinic_id} has its topics already")
