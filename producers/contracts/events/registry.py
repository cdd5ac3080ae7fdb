"""Topic `clinic.registry`: who and what there is. Compacted: the last statement about each counts."""

import datetime as dt
import functools
import zoneinfo
from typing import Annotated, Literal

from msgspec import Meta, Struct

from producers.contracts.errors import ContractViolation
from producers.contracts.events.envelope import Data
from producers.contracts.events.fields import (
    Area,
    DepthMm,
    DeviceId,
    DisplayName,
    Firmware,
    Gtin,
    Id,
    Indication,
    OperatorId,
    Passes,
    ProtocolId,
    StrokeRate,
    Version,
)
from producers.contracts.limits import refuse_date_outside


@functools.cache
def _time_zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


class ClinicRegistered(Data, frozen=True):
    """A clinic joined the network or changed its details."""

    display_name: DisplayName
    time_zone: Annotated[
        str,
        Meta(pattern=r"^[A-Za-z_]+(/[A-Za-z0-9_+-]+){0,2}(?!\n)$", description="IANA time zone"),
    ]
    locale: Annotated[
        str,
        Meta(pattern=r"^[a-z]{2}(-[A-Z]{2})?(?!\n)$", description="BCP 47 language, optionally with region"),
    ]
    opened_on: Annotated[dt.date, Meta(description="first day of business, clinic-local")]

    def check(self, now: dt.datetime) -> None:
        refuse_date_outside(self.opened_on, "$.data.opened_on", now)
        if self.time_zone not in _time_zones():
            raise ContractViolation("time-zone.unknown", "$.data.time_zone", "not an IANA time zone")


class OperatorRegistered(Data, frozen=True):
    """A person who treats, under a pseudonym of the clinic's own."""

    operator_id: OperatorId
    role: Annotated[Literal["physician", "nurse", "aesthetician"], Meta(description="profession")]


class DeviceRegistered(Data, frozen=True):
    """A micro-needling pen came into service. `udi_di` and `serial` are its UDI parts."""

    device_id: DeviceId
    model: Annotated[Id, Meta(description="model")]
    udi_di: Gtin
    serial: Annotated[Id, Meta(description="UDI production identifier: serial number")]
    firmware: Firmware
    in_service_on: Annotated[dt.date, Meta(description="first day of use, clinic-local")]

    def check(self, now: dt.datetime) -> None:
        refuse_date_outside(self.in_service_on, "$.data.in_service_on", now)


class ProtocolPublished(Data, frozen=True):
    """A version of a treatment protocol."""

    protocol_id: ProtocolId
    version: Version
    indication: Indication
    depth_mm: Annotated[DepthMm, Meta(description="needle depth to set, mm")]
    stroke_rate_per_min: Annotated[StrokeRate, Meta(description="strokes per minute to set")]
    sessions_planned: Annotated[
        int, Meta(ge=1, le=12, description="sessions in the series; three are usual [S], 12 is ample [A]")
    ]
    interval_days: Annotated[
        int, Meta(ge=7, le=365, description="days between sessions of the series; 28-42 are usual [S]")
    ]


class ProtocolStep(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One step of a session, in the order in which it is done."""

    kind: Annotated[
        Literal["cleanse", "numbing", "needling", "serum", "soothing", "led-light"],
        Meta(description="what is done [S]"),
    ]
    duration_min: (
        Annotated[
            int,
            Meta(
                ge=1, le=120, description="minutes; numbing about 20, a session 30-60 [S], 120 is ample [A]"
            ),
        ]
        | None
    ) = None
    area: Area | None = None
    depth_mm: DepthMm | None = None
    stroke_rate_per_min: StrokeRate | None = None
    passes: Passes | None = None


class ProtocolPublishedV2(ProtocolPublished, frozen=True):
    """A version of a treatment protocol, with its steps and the limits that an operator must keep.

    Nothing in the protocol itself exceeds its limits. Where a field is absent, as in every event of version
    1, the clinic has not said; it does not mean that there is no limit.
    """

    steps: (
        Annotated[list[ProtocolStep], Meta(min_length=1, max_length=20, description="steps in order")] | None
    ) = None
    depth_limit_mm: Annotated[DepthMm, Meta(description="deepest needle depth allowed, mm")] | None = None
    stroke_rate_limit_per_min: (
        Annotated[StrokeRate, Meta(description="most strokes per minute allowed")] | None
    ) = None
    passes_limit: Annotated[Passes, Meta(description="most passes over one area allowed")] | None = None
    skin_type_limit: (
        Annotated[
            int,
            Meta(ge=1, le=6, description="darkest Fitzpatrick skin type to be treated"),
        ]
        | None
    ) = None

    def check(self, now: dt.datetime) -> None:
        stated = [("$.data", self), *((f"$.data.steps[{i}]", s) for i, s in enumerate(self.steps or ()))]
        limits = (
            ("depth_mm", self.depth_limit_mm),
            ("stroke_rate_per_min", self.stroke_rate_limit_per_min),
            ("passes", self.passes_limit),
        )
        for path, holder in stated:
            for name, limit in limits:
                value = getattr(holder, name, None)
                if value is not None and limit is not None and value > limit:
                    raise ContractViolation(
                        "limit.exceeded", f"{path}.{name}", "above the protocol's own limit"
                    )
