"""Topic `clinic.device-telemetry`: what a device measured, and what was done to it; in order per device."""

import datetime as dt
from typing import Annotated, Literal

from msgspec import Meta

from producers.contracts.errors import ContractViolation
from producers.contracts.events.envelope import Data
from producers.contracts.events.fields import (
    CartridgeLot,
    CartridgeSerial,
    Celsius,
    DepthMm,
    DeviceId,
    Firmware,
    Gtin,
    Id,
    Milliamps,
    Samples,
    SessionId,
    StrokeRate,
)
from producers.contracts.limits import refuse_expiry_outside

_OfSession = Annotated[SessionId, Meta(description="session during which it happened; absent outside one")]


class TelemetryFrame(Data, frozen=True):
    """A frame of samples taken `sample_interval_ms` apart; all channels have as many samples.

    `session_id` is absent in an idle heartbeat. `sequence` counts frames of a device, from 0.
    """

    device_id: DeviceId
    sequence: Annotated[int, Meta(ge=0, le=2**53, description="frame number of the device, from 0")]
    sample_interval_ms: Annotated[
        int, Meta(ge=1, le=60_000, description="milliseconds between samples; 100 is usual [A]")
    ]
    depth_mm: Annotated[list[DepthMm], Samples, Meta(description="needle depth measured, mm, one per sample")]
    stroke_rate_per_min: Annotated[
        list[StrokeRate], Samples, Meta(description="strokes per minute measured, one per sample")
    ]
    motor_current_ma: Annotated[
        list[Milliamps], Samples, Meta(description="motor current, mA, one per sample")
    ]
    battery_percent: Annotated[float, Meta(ge=0.0, le=100.0, description="battery charge, percent")]
    session_id: Annotated[SessionId, Meta(description="session treated; absent when idle")] | None = None

    def check(self, now: dt.datetime) -> None:
        if not len(self.depth_mm) == len(self.stroke_rate_per_min) == len(self.motor_current_ma):
            raise ContractViolation("frame.ragged", "$.data", "channels differ in their number of samples")


class TelemetryFrameV2(TelemetryFrame, frozen=True):
    """A frame of a device that also measures its temperature, once a frame: it changes slowly."""

    temperature_celsius: Celsius | None = None


class DeviceFaulted(Data, frozen=True):
    """A device reported a fault, at the event's time."""

    device_id: DeviceId
    fault: Annotated[
        Literal[
            "motor-stall",
            "motor-overcurrent",
            "depth-out-of-tolerance",
            "stroke-rate-out-of-tolerance",
            "overheating",
            "battery-low",
            "battery-failed",
            "cartridge-not-seated",
            "cartridge-reuse-refused",
            "sensor-failed",
            "firmware-error",
            "other",
        ],
        Meta(description="what is wrong; the maker's own code goes into vendor_code"),
    ]
    halted: Annotated[bool, Meta(description="the device stopped needling by itself")]
    vendor_code: Annotated[Id, Meta(description="the maker's fault code")] | None = None
    session_id: _OfSession | None = None


class DeviceCalibrated(Data, frozen=True):
    """A calibration was done at the event's time; `depth_error_mm` is what was found before adjusting."""

    device_id: DeviceId
    depth_error_mm: Annotated[
        float, Meta(ge=-2.0, le=2.0, description="depth error found before adjusting, mm [A]")
    ]


class DeviceServiced(Data, frozen=True):
    """A device was serviced, at the event's time."""

    device_id: DeviceId
    kind: Annotated[Literal["routine", "repair"], Meta(description="planned, or because of a fault")]
    parts_replaced: Annotated[
        list[Literal["motor", "battery", "seal", "housing", "board", "sensor"]],
        Meta(max_length=6, description="each once", extra_json_schema={"uniqueItems": True}),
    ]

    def check(self, now: dt.datetime) -> None:
        if len(set(self.parts_replaced)) < len(self.parts_replaced):
            raise ContractViolation("list.repeated", "$.data.parts_replaced", "names one of them twice")


class DeviceFirmwareUpdated(Data, frozen=True):
    """A device runs other firmware from the event's time on."""

    device_id: DeviceId
    firmware: Annotated[Firmware, Meta(description="firmware version installed")]
    previous_firmware: Annotated[Firmware, Meta(description="firmware version before")] | None = None

    def check(self, now: dt.datetime) -> None:
        if self.firmware == self.previous_firmware:
            raise ContractViolation("firmware.unchanged", "$.data.firmware", "the same as before")


class CartridgeOpened(Data, frozen=True):
    """A sterile needle cartridge was opened and put on a device, at the event's time; it is single-use."""

    device_id: DeviceId
    cartridge_lot: CartridgeLot
    cartridge_serial: CartridgeSerial
    needle_count: Annotated[
        int, Meta(ge=1, le=100, description="needles; 6, 12 and 14 are usual, 36 and 42 marketed [L]")
    ]
    udi_di: Gtin | None = None
    expires_on: Annotated[dt.date, Meta(description="use-by date on the package")] | None = None
    session_id: _OfSession | None = None

    def check(self, now: dt.datetime) -> None:
        if self.expires_on is not None:
            refuse_expiry_outside(self.expires_on, "$.data.expires_on", now)
        if self.udi_di is not None and not _gtin_checks(self.udi_di):
            raise ContractViolation(
                "udi.check-digit", "$.data.udi_di", "the last digit does not fit the others"
            )


def _gtin_checks(gtin: str) -> bool:
    """Whether the weighted sum of a GTIN-14's digits ends in 0.

    Source: GS1 General Specifications, section 7.9 "Check digit calculations".
    """
    return sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(gtin)) % 10 == 0


class CartridgeDiscarded(Data, frozen=True):
    """A needle cartridge was thrown away, at the event's time."""

    device_id: DeviceId
    cartridge_lot: CartridgeLot
    cartridge_serial: CartridgeSerial
    reason: Annotated[
        Literal["used", "expired", "damaged", "contaminated", "recalled"], Meta(description="why")
    ]
    session_id: _OfSession | None = None
