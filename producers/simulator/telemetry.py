"""What the pens send: a frame a second while needling, a heartbeat every few minutes when idle."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from producers.contracts.events import TELEMETRY, TelemetryFrame
from producers.simulator.items import Item, item
from producers.simulator.parameters import Parameters
from producers.simulator.world import Clinic, Device

TYPE = "telemetry.frame.v1"
_SAMPLE_INTERVAL_MS = 100


@dataclass(frozen=True)
class Needling:
    """A stretch of needling, seconds since 1970, half-open; depth and rate as set."""

    session_id: str
    starts: int
    ends: int
    depth_mm: float
    stroke_rate_per_min: float


@dataclass
class Pen:
    """A device's state from day to day."""

    device: Device
    calibrated_at: int
    sequence: int = 0
    battery_percent: float = 100.0
    depth_bias_mm: float = 0.0
    """What its firmware adds to every depth."""
    stroke_loss: float = 0.0
    """Share of the set stroke rate that its motor loses beside the usual."""

    def depth_error_mm(self, second: int, parameters: Parameters) -> float:
        """True minus set depth: what the last calibration left, the drift since, and the firmware's own."""
        months = (second - self.calibrated_at) / (30.44 * 86_400)
        drift = parameters.depth_drift_mm_per_month * months
        return self.device.depth_error_mm + drift + self.depth_bias_mm


def device_day(
    clinic: Clinic,
    pen: Pen,
    needlings: list[Needling],
    hours: tuple[int, int],
    seed: tuple[int, ...],
    parameters: Parameters,
    *,
    first_second: int,
) -> Iterator[Item]:
    """A device's frames of one working day in time order.

    Before `first_second` the device's state moves on and no frame is made.
    """
    phase = (37 * clinic.number + 101 * seed[-1]) % parameters.heartbeat_seconds  # not all at once
    beats = _heartbeats((hours[0] + phase, hours[1]), needlings, parameters)
    for index, needling in enumerate(needlings):
        yield from _idle(clinic, pen, [b for b in beats if b < needling.starts], parameters, first_second)
        beats = [b for b in beats if b >= needling.ends]
        yield from _needling(clinic, pen, needling, (*seed, index), parameters, first_second)
    yield from _idle(clinic, pen, beats, parameters, first_second)


def _heartbeats(hours: tuple[int, int], needlings: list[Needling], parameters: Parameters) -> list[int]:
    busy = [(n.starts, n.ends) for n in needlings]
    return [
        second
        for second in range(hours[0], hours[1], parameters.heartbeat_seconds)
        if not any(starts <= second < ends for starts, ends in busy)
    ]


def _idle(
    clinic: Clinic, pen: Pen, seconds: list[int], parameters: Parameters, first_second: int
) -> Iterator[Item]:
    charge = parameters.charge_percent_per_minute * parameters.heartbeat_seconds / 60
    for second in seconds:
        pen.battery_percent = min(100.0, pen.battery_percent + charge)
        sequence = pen.sequence
        pen.sequence += 1
        if second >= first_second:
            yield _frame(clinic, pen.device, second, sequence, pen.battery_percent, [0.0], [0.0], [0.0], None)


def _needling(
    clinic: Clinic,
    pen: Pen,
    needling: Needling,
    seed: tuple[int, ...],
    parameters: Parameters,
    first_second: int,
) -> Iterator[Item]:
    frames = needling.ends - needling.starts
    first_sequence, charge = pen.sequence, pen.battery_percent
    used_per_frame = parameters.battery_percent_per_minute / 60
    pen.sequence += frames
    pen.battery_percent = max(5.0, charge - used_per_frame * frames)
    skipped = max(0, first_second - needling.starts)
    if skipped >= frames:
        return
    depths, rates, currents = _samples(pen, needling, frames, seed, parameters)
    for index in range(skipped, frames):
        yield _frame(
            clinic,
            pen.device,
            needling.starts + index,
            first_sequence + index,
            max(5.0, charge - used_per_frame * index),
            depths[index],
            rates[index],
            currents[index],
            needling.session_id,
        )


def _samples(
    pen: Pen, needling: Needling, frames: int, seed: tuple[int, ...], parameters: Parameters
) -> tuple[list[list[float]], list[list[float]], list[list[float]]]:
    """Depth, stroke rate and motor current of each frame, within the contract's bounds."""
    rng = np.random.Generator(np.random.PCG64(seed))
    noise = rng.standard_normal((3, frames, parameters.samples_per_frame))
    load = rng.uniform(*parameters.stroke_loss_under_load) + pen.stroke_loss
    depth = needling.depth_mm + pen.depth_error_mm(needling.starts, parameters)
    rate = needling.stroke_rate_per_min
    depths = np.clip(depth + parameters.depth_noise_sd_mm * noise[0], 0.0, 3.0)
    rates = np.clip(rate * (1 - load + parameters.stroke_noise_sd * noise[1]), 0.0, 25_000.0)
    base = parameters.current_base_ma + parameters.current_per_mm_ma * depth
    currents = np.clip(base + parameters.current_noise_sd_ma * noise[2], 0.0, 5_000.0)
    return np.round(depths, 3).tolist(), np.round(rates).tolist(), np.round(currents, 1).tolist()


def _frame(
    clinic: Clinic,
    device: Device,
    second: int,
    sequence: int,
    battery_percent: float,
    depths: list[float],
    rates: list[float],
    currents: list[float],
    session_id: str | None,
) -> Item:
    data = TelemetryFrame(
        device_id=device.device_id,
        sequence=sequence,
        sample_interval_ms=_SAMPLE_INTERVAL_MS,
        depth_mm=depths,
        stroke_rate_per_min=rates,
        motor_current_ma=currents,
        battery_percent=round(battery_percent, 1),
        session_id=session_id,
    )
    event_id = f"t-{device.device_id}-{sequence}"
    return item(clinic.source, clinic.number, second, event_id, TELEMETRY.name, TYPE, data)
