"""What the pens send: a frame a second while needling, a heartbeat every few minutes when idle.

A day is a list of stretches, each so many frames at even intervals; their samples are drawn only once
somebody asks for frames, so that what is passed over costs nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from producers.contracts.events import TELEMETRY, TelemetryFrame
from producers.simulator.items import Item, item
from producers.simulator.parameters import Parameters
from producers.simulator.world import Clinic, Device

TYPE = "telemetry.frame.v1"
SAMPLE_INTERVAL_MS = 100
Samples = npt.NDArray[np.uint16]


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


@dataclass
class Stretch:
    """Frames of one device at even intervals: those of a session, or the heartbeats between two.

    Frame `i` is sent at `starts + i * step`. `tenths` is the battery's charge in tenths of a percent.
    """

    clinic: Clinic
    device_id: str
    session_id: str | None
    starts: int
    step: int
    first_sequence: int
    tenths: npt.NDArray[np.int64]
    needled: "Needled | None"
    _samples: Samples | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.tenths)

    def before(self, second: int) -> int:
        """How many of its frames come before that second."""
        return min(len(self), max(0, -((self.starts - second) // self.step)))

    @property
    def samples(self) -> Samples:
        """(channel, frame, sample): depth in micrometres, strokes a minute, current in tenths of a mA."""
        if self._samples is None:
            at_rest = np.zeros((3, len(self), 1), np.uint16)
            self._samples = at_rest if self.needled is None else self.needled.samples(len(self))
        return self._samples

    def items(self, first: int, end: int) -> Iterator[Item]:
        """The frames of these numbers, half-open, one by one."""
        depths, rates, currents = (self.samples[channel] for channel in range(3))
        for index in range(first, end):
            sequence = self.first_sequence + index
            data = TelemetryFrame(
                device_id=self.device_id,
                sequence=sequence,
                sample_interval_ms=SAMPLE_INTERVAL_MS,
                depth_mm=[value / 1000 for value in depths[index].tolist()],
                stroke_rate_per_min=[float(value) for value in rates[index].tolist()],
                motor_current_ma=[value / 10 for value in currents[index].tolist()],
                battery_percent=int(self.tenths[index]) / 10,
                session_id=self.session_id,
            )
            event_id = f"t-{self.device_id}-{sequence}"
            second = self.starts + index * self.step
            yield item(self.clinic.source, self.clinic.number, second, event_id, TELEMETRY.name, TYPE, data)


@dataclass(frozen=True)
class Needled:
    """What decides the samples of a session: the true depth, the set rate, and a seed of its own."""

    depth_mm: float
    stroke_rate_per_min: float
    stroke_loss: float
    seed: tuple[int, ...]
    parameters: Parameters

    def samples(self, frames: int) -> Samples:
        """Depth, stroke rate and motor current of each frame, within the contract's bounds."""
        parameters = self.parameters
        rng = np.random.Generator(np.random.PCG64(self.seed))
        noise = rng.standard_normal((3, frames, parameters.samples_per_frame), np.float32)
        load = rng.uniform(*parameters.stroke_loss_under_load) + self.stroke_loss
        rate = self.stroke_rate_per_min
        current = parameters.current_base_ma + parameters.current_per_mm_ma * self.depth_mm
        for channel, (mean, sd, highest) in enumerate(
            (
                (1000 * self.depth_mm, 1000 * parameters.depth_noise_sd_mm, 3_000),
                (rate * (1 - load), rate * parameters.stroke_noise_sd, 25_000),
                (10 * current, 10 * parameters.current_noise_sd_ma, 50_000),
            )
        ):
            noise[channel] *= sd
            noise[channel] += mean
            np.clip(noise[channel], 0, highest, out=noise[channel])
        return np.rint(noise, out=noise).astype(np.uint16)


def device_day(
    clinic: Clinic,
    pen: Pen,
    needlings: list[Needling],
    hours: tuple[int, int],
    seed: tuple[int, ...],
    parameters: Parameters,
) -> Iterator[Stretch]:
    """A device's stretches of one working day in time order; its state moves on."""
    step = parameters.heartbeat_seconds
    beat = hours[0] + (37 * clinic.number + 101 * seed[-1]) % step  # not all at once
    for index, needling in enumerate(needlings):
        yield _idle(clinic, pen, beat, needling.starts, parameters)
        beat += step * max(0, -((beat - needling.ends) // step))
        yield _needling(clinic, pen, needling, (*seed, index), parameters)
    yield _idle(clinic, pen, beat, hours[1], parameters)


def _idle(clinic: Clinic, pen: Pen, beat: int, end: int, parameters: Parameters) -> Stretch:
    step = parameters.heartbeat_seconds
    count = max(0, -((beat - end) // step))
    charge = parameters.charge_percent_per_minute * step / 60
    return _stretch(clinic, pen, None, (beat, step, count), charge, None)


def _needling(
    clinic: Clinic, pen: Pen, needling: Needling, seed: tuple[int, ...], parameters: Parameters
) -> Stretch:
    needled = Needled(
        needling.depth_mm + pen.depth_error_mm(needling.starts, parameters),
        needling.stroke_rate_per_min,
        pen.stroke_loss,
        seed,
        parameters,
    )
    used = -parameters.battery_percent_per_minute / 60
    span = (needling.starts, 1, needling.ends - needling.starts)
    return _stretch(clinic, pen, needling.session_id, span, used, needled)


def _stretch(
    clinic: Clinic,
    pen: Pen,
    session_id: str | None,
    span: tuple[int, int, int],
    charged: float,
    needled: Needled | None,
) -> Stretch:
    """So many frames at even intervals, the battery gaining `charged` percent with each; the pen moves on."""
    starts, step, count = span
    percent = np.clip(pen.battery_percent + charged * np.arange(1, count + 1), 5.0, 100.0)
    made = Stretch(
        clinic,
        pen.device.device_id,
        session_id,
        starts,
        step,
        pen.sequence,
        np.rint(10 * percent).astype(np.int64),
        needled,
    )
    pen.sequence += count
    if count:
        pen.battery_percent = float(percent[-1])
    return made
