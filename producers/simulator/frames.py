"""The canonical bytes of a stretch's frames, written by one compiled loop instead of an object per frame.

A test holds every byte against `producers.contracts.encode`.
"""

import functools

import numba
import numpy as np
import numpy.typing as npt

from producers.simulator.telemetry import SAMPLE_INTERVAL_MS, TYPE, Stretch

Bytes = npt.NDArray[np.uint8]
Ends = npt.NDArray[np.int64]

_MOST_DIGITS = 20
_ROOM_PER_SAMPLE = 3 * 8
"""Bytes of one sample in each of three channels, like `2.125,` `24999.0,` `1234.5,`."""


def frames(stretch: Stretch, first: int, end: int) -> tuple[Bytes, Ends]:
    """The values of the frames of these numbers, one behind the other, and where each ends."""
    pieces, piece_ends = _pieces(stretch.clinic.source, stretch.device_id, stretch.session_id)
    samples = stretch.samples
    room = len(pieces) + 5 * _MOST_DIGITS + _ROOM_PER_SAMPLE * samples.shape[2]
    out = np.empty(room * (end - first), np.uint8)
    ends = np.empty(end - first, np.int64)
    size = _write(
        out, ends, pieces, piece_ends, samples, stretch.tenths,
        stretch.first_sequence, stretch.starts, stretch.step, first, end,
    )  # fmt: skip
    return out[:size], ends


@functools.lru_cache(4096)
def _pieces(source: str, device_id: str, session_id: str | None) -> tuple[Bytes, Ends]:
    """What stands between the numbers: id, time, sequence, three channels, charge."""
    session = f',"session_id":"{session_id}"' if session_id else ""
    pieces = [
        f'{{"specversion":"1.0","id":"t-{device_id}-',
        f'","source":"{source}","type":"{TYPE}","time":"',
        f'Z","data":{{"device_id":"{device_id}","sequence":',
        f',"sample_interval_ms":{SAMPLE_INTERVAL_MS},"depth_mm":[',
        '],"stroke_rate_per_min":[',
        '],"motor_current_ma":[',
        '],"battery_percent":',
        f"{session}}}}}",
    ]
    return np.frombuffer("".join(pieces).encode(), np.uint8), np.cumsum([len(piece) for piece in pieces])


# ── compiled ────────────────────────────────────────────────────────────────────────────────────────────

_jit = numba.njit(nogil=True, cache=True)


@_jit
def _piece(out, at, pieces, piece_ends, number):  # type: ignore[no-untyped-def]
    start = piece_ends[number - 1] if number else 0
    for k in range(start, piece_ends[number]):
        out[at] = pieces[k]
        at += 1
    return at


@_jit
def _whole(out, at, value):  # type: ignore[no-untyped-def]
    """A whole number, not negative."""
    size = 1
    left = value // 10
    while left:
        size += 1
        left //= 10
    for k in range(at + size - 1, at - 1, -1):
        out[k] = 48 + value % 10
        value //= 10
    return at + size


@_jit
def _decimal(out, at, value, places):  # type: ignore[no-untyped-def]
    """A number of 10**-places, in the shortest form that has a digit behind the point."""
    scale = 10**places
    at = _whole(out, at, value // scale)
    out[at] = 46
    at += 1
    rest = value % scale
    while True:
        scale //= 10
        out[at] = 48 + (rest // scale if scale else 0)
        at += 1
        rest = rest % scale if scale else 0
        if rest == 0:
            return at


@_jit
def _two(out, at, value):  # type: ignore[no-untyped-def]
    out[at] = 48 + value // 10
    out[at + 1] = 48 + value % 10
    return at + 2


@_jit
def _instant(out, at, second):  # type: ignore[no-untyped-def]
    """`YYYY-MM-DDTHH:MM:SS` of a second since 1970 (civil from days: public algorithm by Howard Hinnant)."""
    days, rest = second // 86_400 + 719_468, second % 86_400
    era = days // 146_097
    of_era = days - era * 146_097
    year = (of_era - of_era // 1_460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    shifted = (5 * of_year + 2) // 153
    day = of_year - (153 * shifted + 2) // 5 + 1
    month = shifted + 3 if shifted < 10 else shifted - 9
    year += era * 400 + (1 if month <= 2 else 0)
    at = _two(out, at, year // 100)
    at = _two(out, at, year % 100)
    for value, mark in ((month, 45), (day, 45), (rest // 3600, 84), (rest // 60 % 60, 58), (rest % 60, 58)):
        out[at] = mark
        at = _two(out, at + 1, value)
    return at


@_jit
def _channel(out, at, values, places):  # type: ignore[no-untyped-def]
    for k in range(values.size):
        if k:
            out[at] = 44
            at += 1
        at = _decimal(out, at, np.int64(values[k]), places)
    return at


@_jit
def _write(  # type: ignore[no-untyped-def]
    out, ends, pieces, piece_ends, samples, tenths, first_sequence, starts, step, first, end
):  # fmt: skip
    at = 0
    for i in range(first, end):
        at = _piece(out, at, pieces, piece_ends, 0)
        at = _whole(out, at, first_sequence + i)
        at = _piece(out, at, pieces, piece_ends, 1)
        at = _instant(out, at, starts + i * step)
        at = _piece(out, at, pieces, piece_ends, 2)
        at = _whole(out, at, first_sequence + i)
        at = _piece(out, at, pieces, piece_ends, 3)
        at = _channel(out, at, samples[0, i], 3)
        at = _piece(out, at, pieces, piece_ends, 4)
        at = _channel(out, at, samples[1, i], 0)
        at = _piece(out, at, pieces, piece_ends, 5)
        at = _channel(out, at, samples[2, i], 1)
        at = _piece(out, at, pieces, piece_ends, 6)
        at = _decimal(out, at, tenths[i], 1)
        at = _piece(out, at, pieces, piece_ends, 7)
        ends[i - first] = at
    return at
