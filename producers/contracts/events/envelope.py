"""What all events share: the CloudEvents envelope, and the base of what an event states."""

import datetime as dt
from typing import Annotated, Generic, Literal, TypeVar

from msgspec import Meta, Struct

from producers.contracts.events.fields import EventId, Instant, Source


class Data(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What an event states about its subject.

    A new version of an event subclasses the old one and only adds optional fields. So who reads the old
    version can read the new one by passing over what it does not know, and an event of the old version is
    one of the new version that leaves the new fields unsaid.
    """

    def check(self, now: dt.datetime) -> None:
        """Refuse fields that are each well formed but make no sense together. Raises ContractViolation.

        `now` is the moment the event was received. Rules across several events never stop landing.
        """


D = TypeVar("D", bound=Data)
DataClass = type[Data]


class Event(Struct, Generic[D], frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One event: a CloudEvents 1.0 document."""

    specversion: Annotated[Literal["1.0"], Meta(description="version of CloudEvents")]
    id: EventId
    source: Source
    type: str
    time: Annotated[Instant, Meta(description="when it happened, RFC 3339 with an offset")]
    data: D
    datacontenttype: Literal["application/json"] | None = None
    supersedes: (
        Annotated[
            EventId, Meta(description="id of an earlier event of this source and type that this one replaces")
        ]
        | None
    ) = None


class EventVoided(Data, frozen=True):
    """An earlier event of the same source never happened (entered by mistake). Sent on that event's topic."""

    voided_id: Annotated[EventId, Meta(description="id of the event of the same source that never happened")]
    reason: Annotated[
        Literal["entered-in-error", "duplicate-entry", "wrong-patient", "test"],
        Meta(description="why it is withdrawn"),
    ]
