"""Where events travel: on topics that all clinics share, or on topics of one clinic's own.

A record read back from Kafka does not say who wrote it. On a shared topic one clinic could therefore speak
as another; a topic of its own, which only its principal may write to, makes the broker the judge: what lies
there must be that clinic's.
"""

import re

from producers.contracts.errors import ContractViolation
from producers.contracts.events import TOPICS

CLINIC_ID = r"[a-z0-9][a-z0-9-]{0,31}"
"""What a clinic's id looks like: the first part of its events' source."""


def own_topic(topic: str, clinic_id: str) -> str:
    """The clinic's own form of a shared topic: `clinic.sessions` of `north` is `clinic.sessions.north`."""
    return f"{topic}.{clinic_id}"


def route(topic: str) -> tuple[str, str | None]:
    """The shared form of a topic, and the clinic that it belongs to, None for a shared one.

    Raises ContractViolation for a topic that is none of ours.
    """
    if topic in TOPICS:
        return topic, None
    shared, _, clinic_id = topic.rpartition(".")
    if shared in TOPICS and re.fullmatch(CLINIC_ID, clinic_id):
        return shared, clinic_id
    raise ContractViolation("topic.unknown", "$", "no topic of ours")


def is_ours(topic: str) -> bool:
    """Whether events are read from a topic of this name."""
    try:
        route(topic)
    except ContractViolation:
        return False
    return True
