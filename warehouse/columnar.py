"""Telemetry frames, columns from bytes: the fast half of decoding.

Nearly every event is a telemetry frame in the canonical form that our own publisher writes. One compiled
pass checks that form byte by byte and reads its values straight into column buffers, without building an
object per event and without the interpreter's lock. It accepts a subset of what
`producers.contracts.decode` accepts, with the same values; whatever it does not recognise (another key
order, white space, an exponent, an optional field it does not expect) is left to the strict decoder, so
being narrow here can only cost time. A property test holds both against each other.
"""

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from warehouse.log import Ints

Bytes = npt.NDArray[np.uint8]

_jit = numba.njit(nogil=True, cache=True, error_model="numpy")

# ── the canonical text of a frame, in the contract's field order ────────────────────────────────────────


def _literal(text: bytes) -> Bytes:
    return np.frombuffer(text, np.uint8)


_HEAD = _literal(b'{"specversion":"1.0","id":"')
_SOURCE = _literal(b'","source":"/clinics/')
_TYPE = _literal(b'","type":"telemetry.frame.v')
_TIME = _literal(b'","time":"')
_DEVICE = _literal(b'","data":{"device_id":"')
_SEQUENCE = _literal(b'","sequence":')
_INTERVAL = _literal(b',"sample_interval_ms":')
_DEPTH = _literal(b',"depth_mm":[')
_RATE = _literal(b'],"stroke_rate_per_min":[')
_CURRENT = _literal(b'],"motor_current_ma":[')
_BATTERY = _literal(b'],"battery_percent":')
_SESSION = _literal(b',"session_id":"')
_QUOTE = _literal(b'"')
_TEMPERATURE = _literal(b',"temperature_celsius":')
_END = _literal(b"}}")

MAX_SAMPLES = 100
MAX_SEQUENCE = 2**53
MAX_INTERVAL_MS = 60_000
MAX_DEPTH_MM, MAX_RATE, MAX_CURRENT_MA, MAX_BATTERY = 3.0, 25_000.0, 5_000.0, 100.0
MAX_TEMPERATURE = 120.0
MAX_ID, MAX_NAME, MAX_CLINIC, MAX_SOURCE_PART = 128, 64, 32, 32
"""Limits of the contract's TelemetryFrame, versions 1 and 2, and envelope; a test compares them."""

# classes of characters, one bit each
_NAME_FIRST, _NAME_REST, _CLINIC_FIRST, _CLINIC_REST, _PART = 1, 2, 4, 8, 16
_CLASS = np.zeros(256, np.uint8)
for _c in b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789":
    _CLASS[_c] |= _NAME_FIRST | _NAME_REST | _PART
for _c in b"._:-":
    _CLASS[_c] |= _NAME_REST
for _c in b"._-":
    _CLASS[_c] |= _PART
for _c in b"abcdefghijklmnopqrstuvwxyz0123456789":
    _CLASS[_c] |= _CLINIC_FIRST | _CLINIC_REST
_CLASS[ord("-")] |= _CLINIC_REST

_POWERS = 10.0 ** np.arange(19)
"""Exact in a double up to 10**22, so digits / power is the correctly rounded value of up to 15 digits."""


@dataclass(frozen=True)
class Frames:
    """Columns of the recognised frames of one buffer, and where each came from.

    `row` is the frame's index among the values given. Text columns are (bytes, ends): row i spans from the
    end of i - 1 to its own. `samples` is the number of samples of each channel of each row.
    """

    row: Ints
    id: tuple[Bytes, Ints]
    source: tuple[Bytes, Ints]
    clinic_id: tuple[Bytes, Ints]
    device_id: tuple[Bytes, Ints]
    session_id: tuple[Bytes, Ints]
    has_session: npt.NDArray[np.bool_]
    occurred_us: Ints
    sequence: Ints
    sample_interval_ms: Ints
    samples: Ints
    depth_mm: npt.NDArray[np.float32]
    stroke_rate_per_min: npt.NDArray[np.float32]
    motor_current_ma: npt.NDArray[np.float32]
    battery_percent: npt.NDArray[np.float32]
    temperature_celsius: npt.NDArray[np.float32]
    """NaN where it is not stated, as in every frame of version 1."""
    content_hash: npt.NDArray[np.uint64]


def read_frames(
    buffer: Bytes,
    value_at: Ints,
    value_size: Ints,
    key_at: Ints,
    key_size: Ints,
    received_us: Ints,
    *,
    earliest_us: int,
    ahead_us: int,
) -> Frames:
    """Read every value that is a canonical frame under its own key and inside the clock's bounds."""
    n = len(value_at)
    room = int(np.maximum(value_size, 0).sum()) + 8
    columns = tuple(np.empty(room, np.uint8) for _ in range(5))
    ends = tuple(np.empty(n, np.int64) for _ in range(5))
    numbers = tuple(np.empty(n, np.int64) for _ in range(5))
    channels = tuple(np.empty(room // 4 + 1, np.float32) for _ in range(3))
    has_session = np.empty(n, np.bool_)
    battery, temperature = np.empty(n, np.float32), np.empty(n, np.float32)
    hashes = np.empty(n, np.uint64)
    count, total = _read(
        buffer, value_at, value_size, key_at, key_size, received_us, earliest_us, ahead_us,
        columns, ends, numbers, channels, has_session, battery, temperature, hashes,
    )  # fmt: skip
    text = [(c[: e[count - 1] if count else 0], e[:count]) for c, e in zip(columns, ends, strict=True)]
    row, occurred_us, sequence, sample_interval_ms, samples = (a[:count] for a in numbers)
    depth_mm, stroke_rate_per_min, motor_current_ma = (c[:total] for c in channels)
    return Frames(
        row=row,
        id=text[0],
        source=text[1],
        clinic_id=text[2],
        device_id=text[3],
        session_id=text[4],
        has_session=has_session[:count],
        occurred_us=occurred_us,
        sequence=sequence,
        sample_interval_ms=sample_interval_ms,
        samples=samples,
        depth_mm=depth_mm,
        stroke_rate_per_min=stroke_rate_per_min,
        motor_current_ma=motor_current_ma,
        battery_percent=battery[:count],
        temperature_celsius=temperature[:count],
        content_hash=hashes[:count],
    )


def content_hash(value: bytes) -> int:
    """64-bit hash of a canonical event; tells a duplicate from a conflict, and is not for security."""
    return int(_hash(np.frombuffer(value, np.uint8), 0, len(value)))


# ── compiled ────────────────────────────────────────────────────────────────────────────────────────────


@_jit
def _hash(buffer, start, size):  # type: ignore[no-untyped-def]
    """FNV-1a over 8-byte words, then over the remaining bytes, with murmur's finisher."""
    prime = np.uint64(0x100000001B3)
    value = np.uint64(0xCBF29CE484222325) ^ np.uint64(size)
    at = start
    while at + 8 <= start + size:
        word = np.uint64(0)
        for k in range(8):
            word |= np.uint64(buffer[at + k]) << np.uint64(8 * k)
        value = (value ^ word) * prime
        value ^= value >> np.uint64(29)
        at += 8
    while at < start + size:
        value = (value ^ np.uint64(buffer[at])) * prime
        at += 1
    value ^= value >> np.uint64(33)
    value *= np.uint64(0xFF51AFD7ED558CCD)
    value ^= value >> np.uint64(33)
    return value


@_jit
def _matches(buffer, at, end, literal):  # type: ignore[no-untyped-def]
    if at + literal.size > end:
        return False
    for k in range(literal.size):  # noqa: SIM110
        if buffer[at + k] != literal[k]:
            return False
    return True


@_jit
def _run(buffer, at, end, first, rest, longest):  # type: ignore[no-untyped-def]
    """Length of the name at `at`, closed by a character outside the class; 0 when it is none."""
    if at >= end or not _CLASS[buffer[at]] & first:
        return 0
    size = 1
    while at + size < end and _CLASS[buffer[at + size]] & rest:
        size += 1
    return size if size <= longest else 0


@_jit
def _integer(buffer, at, end):  # type: ignore[no-untyped-def]
    """(value, next) of a whole number without sign or leading zero; next is -1 when it is none."""
    value = np.int64(0)
    size = 0
    while at + size < end and size < 17 and 48 <= buffer[at + size] <= 57:
        value = value * 10 + (buffer[at + size] - 48)
        size += 1
    if size == 0 or size > 16 or (size > 1 and buffer[at] == 48):
        return np.int64(0), -1
    return value, at + size


@_jit
def _decimal(buffer, at, end):  # type: ignore[no-untyped-def]
    """(value, next) of a number in its shortest decimal form, like 0.5, 7000.0 or 1.25; next -1 when not.

    At most 15 digits, and not below 0.0001 unless zero: there the shortest form is this one.
    """
    digits = np.int64(0)
    whole = 0
    while at + whole < end and whole < 16 and 48 <= buffer[at + whole] <= 57:
        digits = digits * 10 + (buffer[at + whole] - 48)
        whole += 1
    if whole == 0 or (whole > 1 and buffer[at] == 48) or at + whole >= end or buffer[at + whole] != 46:
        return 0.0, -1
    dot = at + whole + 1
    places = 0
    while dot + places < end and places < 16 and 48 <= buffer[dot + places] <= 57:
        digits = digits * 10 + (buffer[dot + places] - 48)
        places += 1
    if places == 0 or whole + places > 15 or (places > 1 and buffer[dot + places - 1] == 48):
        return 0.0, -1
    value = digits / _POWERS[places]
    if value != 0.0 and value < 0.0001:
        return 0.0, -1
    return value, dot + places


@_jit
def _two(buffer, at):  # type: ignore[no-untyped-def]
    tens, ones = np.int64(buffer[at]) - 48, np.int64(buffer[at + 1]) - 48
    if tens < 0 or tens > 9 or ones < 0 or ones > 9:
        return np.int64(-1)
    return tens * 10 + ones


@_jit
def _instant(buffer, at, end):  # type: ignore[no-untyped-def]
    """(microseconds since 1970, next) of `YYYY-MM-DDTHH:MM:SS[.ffffff]Z`; next -1 when it is none."""
    none = (np.int64(0), -1)
    if at + 20 > end:
        return none
    century, year = _two(buffer, at), _two(buffer, at + 2)
    month, day = _two(buffer, at + 5), _two(buffer, at + 8)
    hour, minute, second = _two(buffer, at + 11), _two(buffer, at + 14), _two(buffer, at + 17)
    if min(century, year, month, day, hour, minute, second) < 0:
        return none
    if buffer[at + 4] != 45 or buffer[at + 7] != 45 or buffer[at + 10] != 84:
        return none
    if buffer[at + 13] != 58 or buffer[at + 16] != 58:
        return none
    year += century * 100
    leap = (year % 4 == 0 and year % 100 != 0) or year % 400 == 0
    longest = 31
    if month in (4, 6, 9, 11):
        longest = 30
    elif month == 2:
        longest = 29 if leap else 28
    if (
        year < 1970
        or not 1 <= month <= 12
        or not 1 <= day <= longest
        or hour > 23
        or minute > 59
        or second > 59
    ):
        return none
    # days from civil (public algorithm by Howard Hinnant)
    y = year - 1 if month <= 2 else year
    era = y // 400
    of_era = y - era * 400
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    days = era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468
    micros = (((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000_000
    at += 19
    if buffer[at] == 46:
        if at + 8 > end:
            return none
        fraction = np.int64(0)
        for k in range(1, 7):
            c = np.int64(buffer[at + k]) - 48
            if c < 0 or c > 9:
                return none
            fraction = fraction * 10 + c
        if fraction == 0:
            return none
        micros += fraction
        at += 7
    if buffer[at] != 90:
        return none
    return micros, at + 1


@_jit
def _channel(buffer, at, end, highest, out, filled):  # type: ignore[no-untyped-def]
    """(samples, next) of numbers from 0 to `highest` separated by commas; next -1 when it is none."""
    samples = 0
    while True:
        value, at = _decimal(buffer, at, end)
        if at < 0 or value > highest or samples == MAX_SAMPLES:
            return 0, -1
        out[filled + samples] = value
        samples += 1
        if at >= end:
            return 0, -1
        if buffer[at] != 44:
            return samples, at
        at += 1


@_jit
def _copy(buffer, at, size, out, filled):  # type: ignore[no-untyped-def]
    for k in range(size):
        out[filled + k] = buffer[at + k]
    return filled + size


@_jit
def _source(buffer, at, end):  # type: ignore[no-untyped-def]
    """(size of the clinic, size of clinic and parts) behind `/clinics/`; 0 when it is none."""
    clinic = _run(buffer, at, end, _CLINIC_FIRST, _CLINIC_REST, MAX_CLINIC)
    if clinic == 0:
        return 0, 0
    size = clinic
    while at + size < end and buffer[at + size] == 47:
        part = _run(buffer, at + size + 1, end, _PART, _PART, MAX_SOURCE_PART)
        if part == 0:
            return 0, 0
        size += 1 + part
    return clinic, size


@_jit
def _key_is(buffer, key_at, key_size, clinic_at, clinic, device_at, device):  # type: ignore[no-untyped-def]
    """Whether the key is `<clinic>/<device>`."""
    if key_size != clinic + 1 + device or buffer[key_at + clinic] != 47:
        return False
    for k in range(clinic):
        if buffer[key_at + k] != buffer[clinic_at + k]:
            return False
    for k in range(device):  # noqa: SIM110
        if buffer[key_at + clinic + 1 + k] != buffer[device_at + k]:
            return False
    return True


@_jit
def _read(  # type: ignore[no-untyped-def]
    buffer, value_at, value_size, key_at, key_size, received_us, earliest_us, ahead_us,
    columns, ends, numbers, channels, has_session, battery, temperature, hashes,
):  # fmt: skip
    count = 0
    total = 0
    ids = sources = clinics = devices = sessions = 0
    for i in range(value_at.size):
        start = value_at[i]
        end = start + value_size[i]
        if value_size[i] < 0 or not _matches(buffer, start, end, _HEAD):
            continue
        id_at = start + _HEAD.size
        id_size = _run(buffer, id_at, end, _NAME_FIRST, _NAME_REST, MAX_ID)
        if id_size == 0 or not _matches(buffer, id_at + id_size, end, _SOURCE):
            continue
        clinic_at = id_at + id_size + _SOURCE.size
        clinic_size, source_size = _source(buffer, clinic_at, end)
        if clinic_size == 0 or not _matches(buffer, clinic_at + source_size, end, _TYPE):
            continue
        at = clinic_at + source_size + _TYPE.size
        version = buffer[at] - 48 if at < end else 0
        if not 1 <= version <= 2 or not _matches(buffer, at + 1, end, _TIME):
            continue
        occurred, at = _instant(buffer, at + 1 + _TIME.size, end)
        if at < 0 or occurred < earliest_us or occurred > received_us[i] + ahead_us:
            continue
        if not _matches(buffer, at, end, _DEVICE):
            continue
        device_at = at + _DEVICE.size
        device_size = _run(buffer, device_at, end, _NAME_FIRST, _NAME_REST, MAX_NAME)
        if device_size == 0 or not _matches(buffer, device_at + device_size, end, _SEQUENCE):
            continue
        if not _key_is(buffer, key_at[i], key_size[i], clinic_at, clinic_size, device_at, device_size):
            continue
        sequence, at = _integer(buffer, device_at + device_size + _SEQUENCE.size, end)
        if at < 0 or sequence > MAX_SEQUENCE or not _matches(buffer, at, end, _INTERVAL):
            continue
        interval, at = _integer(buffer, at + _INTERVAL.size, end)
        if at < 0 or interval < 1 or interval > MAX_INTERVAL_MS or not _matches(buffer, at, end, _DEPTH):
            continue
        depths, at = _channel(buffer, at + _DEPTH.size, end, MAX_DEPTH_MM, channels[0], total)
        if at < 0 or not _matches(buffer, at, end, _RATE):
            continue
        rates, at = _channel(buffer, at + _RATE.size, end, MAX_RATE, channels[1], total)
        if at < 0 or rates != depths or not _matches(buffer, at, end, _CURRENT):
            continue
        currents, at = _channel(buffer, at + _CURRENT.size, end, MAX_CURRENT_MA, channels[2], total)
        if at < 0 or currents != depths or not _matches(buffer, at, end, _BATTERY):
            continue
        charge, at = _decimal(buffer, at + _BATTERY.size, end)
        if at < 0 or charge > MAX_BATTERY:
            continue
        session_at = at
        session_size = 0
        if _matches(buffer, at, end, _SESSION):
            session_at = at + _SESSION.size
            session_size = _run(buffer, session_at, end, _NAME_FIRST, _NAME_REST, MAX_NAME)
            at = session_at + session_size
            if session_size == 0 or not _matches(buffer, at, end, _QUOTE):
                continue
            at += 1
        degrees = np.nan
        if version == 2 and _matches(buffer, at, end, _TEMPERATURE):
            degrees, at = _decimal(buffer, at + _TEMPERATURE.size, end)
            if at < 0 or degrees > MAX_TEMPERATURE:
                continue
        if not _matches(buffer, at, end, _END) or at + _END.size != end:
            continue
        ids = _copy(buffer, id_at, id_size, columns[0], ids)
        sources = _copy(buffer, clinic_at - 9, 9 + source_size, columns[1], sources)
        clinics = _copy(buffer, clinic_at, clinic_size, columns[2], clinics)
        devices = _copy(buffer, device_at, device_size, columns[3], devices)
        sessions = _copy(buffer, session_at, session_size, columns[4], sessions)
        ends[0][count], ends[1][count], ends[2][count] = ids, sources, clinics
        ends[3][count], ends[4][count] = devices, sessions
        numbers[0][count], numbers[1][count], numbers[2][count] = i, occurred, sequence
        numbers[3][count], numbers[4][count] = interval, depths
        has_session[count] = session_size > 0
        battery[count] = charge
        temperature[count] = degrees
        hashes[count] = _hash(buffer, start, value_size[i])
        total += depths
        count += 1
    return count, total
