"""Events of erased persons, taken out of a decoded batch before anything of them is stored.

They are booked as refused, so that the books balance, and not a byte of them is kept: neither value nor key.
"""

import json
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from warehouse.decoding import REFUSED, Decoded
from warehouse.tombstones import RULE, Tombstones

_SEPARATOR = "\x1f"
_VALUE = REFUSED.get_field_index("value")


def without_erased(decoded: Decoded, tombstones: Tombstones) -> Decoded:
    """The batch without what a tombstone forbids; the same batch where nobody was erased."""
    if not tombstones.digests:
        return decoded
    events, of_events = _split(decoded.events, _forbidden_events(decoded.events, tombstones))
    frames, of_frames = _split(decoded.frames, _forbidden_frames(decoded.frames, tombstones))
    return replace(
        decoded,
        events=events,
        frames=frames,
        refused=[
            *(_blanked(row) if _mentions_erased(row[_VALUE], tombstones) else row for row in decoded.refused),
            *of_events,
            *of_frames,
        ],
    )


def _forbidden_events(events: pa.Table, tombstones: Tombstones) -> pa.Array:
    columns = events.select(["clinic_id", "source", "id", "value"]).to_pylist()
    return pa.array(
        [
            tombstones.forbid(
                clinic_id=row["clinic_id"],
                source=row["source"],
                id_=row["id"],
                data=json.loads(row["value"])["data"],
            )
            for row in columns
        ],
        pa.bool_(),
    )


def _forbidden_frames(frames: pa.Table, tombstones: Tombstones) -> pa.Array:
    """By their session: telemetry names no patient."""
    place = pc.binary_join_element_wise(frames.column("clinic_id"), frames.column("session_id"), _SEPARATOR)
    known = [tuple(text.split(_SEPARATOR)) for text in pc.unique(place).to_pylist() if text is not None]
    erased = [_SEPARATOR.join(pair) for pair in tombstones.forbidden_sessions(known)]
    return pc.is_in(place, value_set=pa.array(erased, pa.string()))


def _split(table: pa.Table, forbidden: Any) -> tuple[pa.Table, list[tuple[Any, ...]]]:
    """The rows that may land, and the others as refused rows without their content."""
    out = table.filter(forbidden).select(["part", "offset", "received_at"])
    refused = [_row(*(column[i].as_py() for column in out.columns)) for i in range(len(out))]
    return table.filter(pc.invert(forbidden)), refused


def _row(part: int, offset: int, received_at: Any) -> tuple[Any, ...]:
    return (
        part,
        offset,
        received_at,
        None,
        None,
        None,
        RULE,
        "$",
        "of an erased person; nothing of it is kept",
    )


def _blanked(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return _row(*row[:3])


def _mentions_erased(value: bytes | None, tombstones: Tombstones) -> bool:
    """Whether a refused event names somebody erased, as far as it can be read at all."""
    try:
        event = json.loads(value or b"null")
    except (ValueError, RecursionError):
        return False
    data = event.get("data") if isinstance(event, dict) else None
    if not isinstance(data, dict):
        return False
    names = {name: text for name, text in data.items() if isinstance(text, str)}
    source = str(event.get("source", ""))
    clinic_id = source.removeprefix("/clinics/").split("/")[0]
    return tombstones.forbid(clinic_id=clinic_id, source=source, id_=str(event.get("id", "")), data=names)
