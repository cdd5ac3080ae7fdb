"""The compiled frame reader against the strict decoder: it may know less, never other."""

import datetime as dt
import random
from typing import Any

import msgspec
import numpy as np
import pytest

from producers.contracts import ContractViolation, Event, decode, encode, partition_key
from producers.contracts import codec as strict
from producers.contracts.events import TelemetryFrame, TelemetryFrameV2
from warehouse import columnar

pytestmark = pytest.mark.unit

NOW = dt.datetime(2026, 11, 20, 12, 0, 0, 250_000, tzinfo=dt.UTC)


def frame(rng: random.Random, **changed: Any) -> Event[Any]:
    samples = rng.randint(1, 12)
    data = {
        "device_id": rng.choice(["dev-1", "D.2:x", "p"]),
        "sequence": rng.choice([0, 7, rng.randrange(2**53)]),
        "sample_interval_ms": rng.choice([1, 100, 60_000]),
        "depth_mm": [
            rng.choice([0.0, 3.0, round(rng.uniform(0, 3), rng.randint(0, 6))]) for _ in range(samples)
        ],
        "stroke_rate_per_min": [
            float(round(rng.uniform(0, 25_000), rng.randint(0, 3))) for _ in range(samples)
        ],
        "motor_current_ma": [rng.uniform(0, 5_000) for _ in range(samples)],
        "battery_percent": round(rng.uniform(0, 100), 2),
        "session_id": rng.choice([None, "s-1", "S" * 64]),
    }
    if rng.random() < 0.7:
        data["motor_current_ma"] = [round(x, 2) for x in data["motor_current_ma"]]
    version = 2 if "temperature_celsius" in changed else rng.choice([1, 2])
    if version == 2:
        data["temperature_celsius"] = rng.choice([None, 0.0, 120.0, round(rng.uniform(0, 120), 1)])
    moment = NOW - dt.timedelta(microseconds=rng.choice([0, 250_000, rng.randrange(8 * 10**14)]))
    return Event(
        specversion="1.0",
        id=rng.choice(["a", "e-1", "x" * 128, "A:b_c.9"]),
        source=rng.choice(["/clinics/north", "/clinics/c-1/gateway", "/clinics/x/a.b/c_d"]),
        type=f"telemetry.frame.v{version}",
        time=moment,
        data=(TelemetryFrame if version == 1 else TelemetryFrameV2)(**(data | changed)),
    )


def read(values: list[bytes], keys: list[bytes], received: dt.datetime = NOW) -> columnar.Frames:
    buffer = np.frombuffer(b"".join(k + v for k, v in zip(keys, values, strict=True)), np.uint8)
    key_size = np.array([len(k) for k in keys], np.int64)
    value_size = np.array([len(v) for v in values], np.int64)
    key_at = np.concatenate([[0], np.cumsum(key_size + value_size)[:-1]]).astype(np.int64)
    return columnar.read_frames(
        buffer, key_at + key_size, value_size, key_at, key_size,
        np.full(len(values), int(received.timestamp() * 1_000_000), np.int64),
        earliest_us=int(strict.EARLIEST.timestamp() * 1_000_000),
        ahead_us=int(strict.MAX_CLOCK_AHEAD.total_seconds() * 1_000_000),
    )  # fmt: skip


def rows(frames: columnar.Frames) -> list[dict[str, Any]]:
    """Plain rows of the columns, for comparing."""

    def texts(column: tuple[Any, Any]) -> list[str]:
        data, ends = column
        starts = [0, *ends[:-1]]
        return [bytes(data[a:b]).decode() for a, b in zip(starts, ends, strict=True)]

    last = np.cumsum(frames.samples)
    spans = list(zip([0, *last[:-1]], last, strict=True))
    columns = {
        "row": frames.row.tolist(),
        "id": texts(frames.id),
        "source": texts(frames.source),
        "clinic_id": texts(frames.clinic_id),
        "device_id": texts(frames.device_id),
        "session_id": [
            t if h else None for t, h in zip(texts(frames.session_id), frames.has_session, strict=True)
        ],
        "occurred_us": frames.occurred_us.tolist(),
        "sequence": frames.sequence.tolist(),
        "sample_interval_ms": frames.sample_interval_ms.tolist(),
        "battery_percent": frames.battery_percent.tolist(),
        "content_hash": frames.content_hash.tolist(),
        "temperature_celsius": [None if x != x else x for x in frames.temperature_celsius.tolist()],
    }
    for name in ("depth_mm", "stroke_rate_per_min", "motor_current_ma"):
        columns[name] = [getattr(frames, name)[a:b].tolist() for a, b in spans]
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def expected(value: bytes, row: int) -> dict[str, Any]:
    event, canonical = decode(value, now=NOW)
    data = msgspec.structs.asdict(event.data)
    single = np.float32
    if data["temperature_celsius"] is not None:
        data["temperature_celsius"] = float(single(data["temperature_celsius"]))
    for name in ("depth_mm", "stroke_rate_per_min", "motor_current_ma"):
        data[name] = [float(single(x)) for x in data[name]]
    data["battery_percent"] = float(single(data["battery_percent"]))
    moment = event.time - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return data | {
        "row": row,
        "id": event.id,
        "source": event.source,
        "clinic_id": event.source.split("/")[2],
        "occurred_us": moment // dt.timedelta(microseconds=1),
        "content_hash": columnar.content_hash(canonical),
    }


def test_it_reads_what_the_strict_decoder_reads():
    """Random canonical frames: the same values, to the last bit of a single-precision number."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    events = [frame(rng) for _ in range(2_000)]
    values = [encode(e) for e in events]
    found = rows(read(values, [partition_key(e).encode() for e in events]))
    assert len(found) > 1_000  # numbers of 16 and 17 digits are left to the strict decoder
    for row in found:
        assert row == expected(values[row["row"]], row["row"])


def test_the_publishers_frames_are_all_recognised():
    """Numbers of at most 15 digits, as devices send them, never take the slow way."""
    rng = random.Random(1)
    numbers = {"depth_mm": [1.05], "stroke_rate_per_min": [7000.0], "motor_current_ma": [301.5]}
    events = [frame(rng, **numbers) for _ in range(200)]
    assert len(read([encode(e) for e in events], [partition_key(e).encode() for e in events]).row) == 200


def test_what_it_accepts_the_strict_decoder_accepts_unchanged():
    """Frames with random bytes changed, dropped or doubled: never more than the contract allows."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    values, keys = [], []
    for _ in range(20_000):
        event = frame(rng)
        value = bytearray(encode(event))
        at = rng.randrange(len(value))
        match rng.randrange(4):
            case 0:
                value[at] = rng.choice(b'0123456789.,:"-+eE{}[]/ TZabn\x00\xff')
            case 1:
                del value[at : at + rng.randint(1, 3)]
            case 2:
                value[at:at] = value[at : at + rng.randint(1, 8)]
            case _:
                value[at:at] = bytes([rng.choice(b"0123456789.,-")])
        values.append(bytes(value))
        keys.append(partition_key(event).encode())
    found = rows(read(values, keys))
    assert found  # some changes make another canonical frame
    for row in found:
        value, key = values[row["row"]], keys[row["row"]]
        event, canonical = decode(value, topic="clinic.device-telemetry", key=key, now=NOW)
        assert canonical == value
        assert row == expected(value, row["row"])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("depth_mm", [3.1]), ("stroke_rate_per_min", [25_000.5]), ("motor_current_ma", [5_001.0]),
        ("battery_percent", 100.5), ("sample_interval_ms", 60_001), ("sample_interval_ms", 0),
        ("temperature_celsius", 120.5), ("sequence", 2**53 + 1),
        ("device_id", "x" * 65), ("depth_mm", [1.0] * 101),
    ],
)  # fmt: skip
def test_it_holds_the_contracts_limits(field: str, value: Any):
    """One beyond a limit is left to the strict decoder, which refuses it."""
    one = {"depth_mm": [1.0], "stroke_rate_per_min": [1.0], "motor_current_ma": [1.0]}
    if isinstance(value, list):
        one = {name: [1.0] * len(value) for name in one}
    event = frame(random.Random(1), **(one | {field: value}))
    sent = encode(event)
    assert len(read([sent], [partition_key(event).encode()]).row) == 0
    with pytest.raises(ContractViolation):
        decode(sent, now=NOW)


def test_a_clock_ahead_a_wrong_key_and_nothing_are_left():
    """The clock's bound is to the microsecond; key and null value as the contract says."""
    event = frame(random.Random(2), depth_mm=[1.0], stroke_rate_per_min=[1.0], motor_current_ma=[1.0])
    event = msgspec.structs.replace(event, time=NOW)
    sent, key = [encode(event)], [partition_key(event).encode()]
    hour = strict.MAX_CLOCK_AHEAD
    assert len(read(sent, key, NOW - hour).row) == 1
    assert len(read(sent, key, NOW - hour - dt.timedelta(microseconds=1)).row) == 0
    assert len(read(sent, [b"other/dev-1"]).row) == 0
    assert len(read([b""], key).row) == 0
