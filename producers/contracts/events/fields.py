"""The kinds of field that events are made of: each with its limits, their origin, and what it means.

[S] the clinics' own description of the treatment, [L] literature or a regulator's record, [A] our assumption.
Descriptions go into the published schemas and the warehouse's comments. The pattern of an identifier ends in
`(?!\\n)$`: Python's `$` alone also matches before a last line feed, ECMA-262's does not.
"""

import datetime as dt
from typing import Annotated, Literal

from msgspec import Meta

PLANNED = {"planned": True}
"""Marks an instant that may lie in the future: what it says is a plan, not a fact."""

# ── identifiers ─────────────────────────────────────────────────────────────────────────────────────────

Id = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}(?!\n)$")]
"""An identifier of the clinic's own; no spaces, so that nobody types a name into it."""
EventId = Annotated[
    str,
    Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}(?!\n)$", description="event id, unique within source"),
]
Source = Annotated[
    str,
    Meta(
        pattern=r"^/clinics/[a-z0-9][a-z0-9-]{0,31}(/[A-Za-z0-9._-]{1,32})*(?!\n)$",
        description="`/clinics/<clinic id>`, and optionally a path of the clinic's own",
    ),
]
PatientKey = Annotated[
    str,
    Meta(
        pattern=r"^[0-9a-f]{32}(?!\n)$",
        description="keyed hash of the clinic's patient number, made at the clinic: 128 bits, hexadecimal",
    ),
]
SessionId = Annotated[Id, Meta(description="session; the same from booking to follow-up")]
OperatorId = Annotated[Id, Meta(description="who treats, under a pseudonym of the clinic's own")]
DeviceId = Annotated[Id, Meta(description="device, by the clinic's own number")]
ProtocolId = Annotated[Id, Meta(description="treatment protocol")]
CartridgeLot = Annotated[Id, Meta(description="UDI production identifier of the needle cartridge: lot")]
CartridgeSerial = Annotated[Id, Meta(description="serial of the needle cartridge, single use")]
AdverseEventId = Annotated[Id, Meta(description="adverse event; the same from report to resolution")]
Gtin = Annotated[
    str, Meta(pattern=r"^[0-9]{14}(?!\n)$", description="UDI device identifier (GTIN-14)")
]  # fmt: skip
Firmware = Annotated[Id, Meta(description="firmware version")]

_UNPRINTABLE = r"[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]"
DisplayName = Annotated[
    str,
    Meta(
        max_length=80,
        pattern=rf"^(?![\s\S]*{_UNPRINTABLE})\S(?:[\s\S]*\S)?(?!\n)$",
        description="name to show: no control or text-direction characters, no space at either end",
    ),
]  # fmt: skip

# ── time ────────────────────────────────────────────────────────────────────────────────────────────────

Instant = Annotated[dt.datetime, Meta(tz=True)]
"""A moment with its UTC offset; a naive time is refused. At most an hour ahead of the broker's clock."""
PlannedInstant = Annotated[dt.datetime, Meta(tz=True, extra=PLANNED)]
"""A moment that may lie ahead, by at most two years."""

# ── numbers, their unit in the field's name ─────────────────────────────────────────────────────────────

Version = Annotated[int, Meta(ge=1, le=10_000, description="version, from 1")]
SkinType = Annotated[int, Meta(ge=1, le=6, description="Fitzpatrick skin type I-VI as 1-6")]
DepthMm = Annotated[
    float,
    Meta(ge=0.0, le=3.0, description="needle depth, mm; pens set 0-2.5 [L], 3.0 leaves room for error [A]"),
]  # fmt: skip
StrokeRate = Annotated[
    float,
    Meta(ge=0.0, le=25_000.0, description="strokes per minute; marketed up to 18 000 [L], head-room [A]"),
]  # fmt: skip
Milliamps = Annotated[float, Meta(ge=0.0, le=5_000.0, description="motor current, mA [A]")]
Celsius = Annotated[
    float, Meta(ge=-20.0, le=120.0, description="temperature of the device, degrees Celsius [A]")
]
Passes = Annotated[int, Meta(ge=1, le=50, description="passes over the area; several [S], 50 is ample [A]")]
Grade = Annotated[
    int,
    Meta(ge=1, le=5, description="CTCAE grade: 1 mild, 2 moderate, 3 severe, 4 threatens life, 5 death [L]"),
]  # fmt: skip
Samples = Meta(min_length=1, max_length=100)

# ── words ───────────────────────────────────────────────────────────────────────────────────────────────

Indication = Annotated[
    Literal[
        "acne-scars", "surgical-scars", "stretch-marks", "wrinkles", "hyperpigmentation", "pores", "texture",
        "photodamage",
    ],
    Meta(description="skin concern treated [S]"),
]  # fmt: skip
Area = Annotated[
    Literal["face", "neck", "decolletage", "stomach", "thighs"], Meta(description="area of the body [S]")
]
AgeBand = Annotated[
    Literal["18-29", "30-39", "40-49", "50-59", "60+"], Meta(description="age in bands, never a birth date")
]
Phase = Annotated[
    Literal["series", "maintenance"],
    Meta(description="series of sessions 4-6 weeks apart, or maintenance every 3-6 months [S]"),
]
Term = Annotated[
    Literal[
        "erythema", "oedema", "soreness", "throbbing", "tightness", "peeling", "bruising", "bleeding",
        "hyperpigmentation", "hypopigmentation", "breakout", "infection", "sun-sensitivity", "scarring",
    ],
    Meta(description="what was seen [S]"),
]  # fmt: skip
Relatedness = Annotated[
    Literal["unrelated", "unlikely", "possible", "probable", "definite"],
    Meta(description="reporter's judgement of the relation to the treatment"),
]
ScaleName = Annotated[
    Literal["gais", "goodman-baron", "satisfaction", "vas"],
    Meta(description="scale; its range and direction are in producers/contracts/scales.py"),
]
