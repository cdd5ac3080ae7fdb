"""One clinic, day after day: who comes, who treats whom with what, and what is stated about it.

The randomness of a day depends on the seed, the clinic and the date alone. What is carried from day to day
is small: booked patients, future events, the state of the devices.
"""

import datetime as dt
import heapq
import itertools
import math
import random
from collections.abc import Iterable, Iterator

import msgspec

from producers.contracts.events import SESSIONS, TELEMETRY, DeviceCalibrated, EventVoided, SessionCompleted
from producers.simulator.diary import Booking, Diary, Slot
from producers.simulator.items import Item, instant, item
from producers.simulator.outcomes import Treated, afterwards, outcomes
from producers.simulator.parameters import Parameters
from producers.simulator.patients import new_patient, next_visit
from producers.simulator.telemetry import Needling, Pen, Stretch, device_day
from producers.simulator.upkeep import Upkeep
from producers.simulator.visits import AGAIN, Visit, deferred, is_aborted, is_deferred
from producers.simulator.visits import treated as stated
from producers.simulator.world import Clinic, Operator, World, rng_for

_MINUTE = 60


Slice = tuple[Stretch, int, int]
"""Frames of a stretch, by number, half-open."""


class ClinicDays:
    """What a clinic states, from its first full local day on, given piece by piece in the order of time.

    Telemetry begins at the second `telemetry_from`; frames before the second `frames_after` are passed over.
    """

    def __init__(self, world: World, clinic: Clinic, telemetry_from: int, frames_after: int) -> None:
        self._world = world
        self._parameters = world.parameters
        self._clinic = clinic
        self._frames_from = max(telemetry_from, frames_after)
        self._future: list[Item] = []
        self._to_come: list[tuple[int, int, Stretch]] = []
        self._running: list[Stretch] = []
        self._numbers = itertools.count()
        self._given: int = self._frames_from
        self._pens = [
            Pen(device, int(world.start.timestamp()), stroke_loss=world.planted.stroke_loss(device.device_id))
            for device in clinic.devices
        ]
        self._telemetry_from = telemetry_from
        self._upkeep = Upkeep(world, clinic)
        self._calibration_due: dict[str, dt.date] = {}
        self._calibrations = itertools.count(1)
        self._patients = itertools.count(1)
        self._diary = Diary(clinic, len(clinic.devices), world.parameters, self._later)
        self._day = world.start.astimezone(clinic.zone).date() + dt.timedelta(days=1)
        self._day_begins = clinic.second(self._day)

    def take(self, before: int) -> tuple[list[Item], list[Slice]]:
        """Everything stated before that second and not given yet; frames by stretch."""
        while self._day_begins < before:
            if self._clinic.is_open_on(self._day):
                self._work(self._day)
            self._day += dt.timedelta(days=1)
            self._day_begins = self._clinic.second(self._day)
        return self._due(before), self._frames(before)

    def _due(self, before: int) -> list[Item]:
        due = []
        while self._future and self._future[0][0] < before:
            due.append(heapq.heappop(self._future))
        return due

    def _frames(self, before: int) -> list[Slice]:
        """Slices of the stretches up to that second; those that are used up are let go."""
        if before <= self._given:
            return []
        while self._to_come and self._to_come[0][0] < before:
            self._running.append(heapq.heappop(self._to_come)[2])
        cut = [(s, s.before(self._given), s.before(before)) for s in self._running]
        self._running = [stretch for stretch, _, end in cut if end < len(stretch)]
        self._given = before
        return [(stretch, first, end) for stretch, first, end in cut if first < end]

    def _later(self, made: Item) -> None:
        heapq.heappush(self._future, made)

    def _all_later(self, made: Iterable[Item]) -> None:
        for one in made:
            self._later(one)

    def _work(self, day: dt.date) -> None:
        """A working day: its events go to the future ones, its stretches of frames likewise."""
        rng = rng_for(self._world.seed, self._clinic.number, day.toordinal())
        hours = (
            self._clinic.second(day, self._clinic.opens_hour),
            self._clinic.second(day, self._clinic.closes_hour),
        )
        self._calibrate(day, hours[0], rng)
        self._all_later(self._upkeep.items(day, hours))
        for pen in self._pens:
            pen.depth_bias_mm = self._world.planted.depth_error_mm(self._upkeep.firmware(pen.device))
        needlings: list[list[Needling]] = [[] for _ in self._pens]
        staff = rng.sample(self._clinic.operators, len(self._pens))
        for slot, booking in self._diary.arrivals(day, rng):
            needling = self._treat(day, slot, booking, staff, rng)
            if needling is not None:
                needlings[slot.room].append(needling)
        self._take_calls(day, hours, rng)
        if hours[1] > self._telemetry_from:
            for stretch in self._telemetry(day, hours, needlings):
                if stretch.before(self._given) < len(stretch):
                    heapq.heappush(self._to_come, (stretch.starts, next(self._numbers), stretch))

    def _take_calls(self, day: dt.date, hours: tuple[int, int], rng: random.Random) -> None:
        """New patients book their first visit."""
        for _ in range(_poisson(self._clinic.new_patients_per_open_day, rng)):
            patient = new_patient(self._world, self._clinic, next(self._patients), rng)
            wish = day + dt.timedelta(days=rng.randint(*map(int, self._parameters.first_visit_days)))
            self._diary.book(patient, wish, rng.randrange(*hours), rng)

    # ── a session ───────────────────────────────────────────────────────────────────────────────────────

    def _treat(
        self,
        day: dt.date,
        slot: Slot,
        booking: Booking,
        staff: list[Operator],
        rng: random.Random,
    ) -> Needling | None:
        """One visit; None where screening sent the patient home."""
        parameters, operator, pen = self._parameters, staff[slot.room], self._pens[slot.room]
        patient, number = booking.patient, booking.number
        planted = self._world.planted
        cartridge = planted.cartridge(self._clinic, number)
        started = slot.second + int(rng.uniform(*parameters.numbing_minutes) * _MINUTE)
        ended = started + int(rng.uniform(*parameters.needling_minutes) * _MINUTE)
        completed = ended + int(rng.uniform(*parameters.soothing_minutes) * _MINUTE)
        protocol = patient.protocol.published
        phase = patient.phase
        data = SessionCompleted(
            session_id=booking.session_id,
            patient_key=patient.key,
            operator_id=operator.operator_id,
            device_id=pen.device.device_id,
            protocol_id=protocol.protocol_id,
            protocol_version=protocol.version,
            cartridge_lot=self._clinic.lot_of(cartridge),
            cartridge_serial=self._clinic.cartridge_serial(cartridge),
            indication=patient.indication,
            area=patient.area,
            skin_type=patient.skin_type,
            age_band=patient.age_band,
            phase=phase,
            session_number=min(200, patient.sessions + 1),
            started_at=instant(started),
            completed_at=instant(completed),
            depth_mm=min(2.5, patient.depth_mm + planted.deeper_mm(operator.operator_id, patient)),
            stroke_rate_per_min=protocol.stroke_rate_per_min,
            passes=rng.randint(*map(int, parameters.passes)),
            contraindication_overridden=rng.random() < parameters.contraindication_overridden,
        )
        visit = Visit(self._clinic, slot.second, ended, data)
        own = rng_for(self._world.seed, "visit", self._clinic.number, number)
        if is_deferred(own, parameters):
            self._all_later(deferred(visit, own))
            self._diary.book(patient, _later_on(day, own, parameters), slot.second + 10 * _MINUTE, own)
            return None
        aborted = is_aborted(own, parameters)
        self._all_later(stated(visit, own, parameters, aborted=aborted))
        needling = Needling(data.session_id, started, ended, data.depth_mm, data.stroke_rate_per_min)
        if aborted:
            self._diary.book(patient, _later_on(day, own, parameters), completed, own)
            return needling
        self._state(data, completed, rng)
        patient.sessions += 1
        wish = next_visit(patient, day, rng, parameters)
        next_day = None if wish is None else self._diary.book(patient, wish, completed + 5 * _MINUTE, rng)
        treated = Treated(
            clinic=self._clinic,
            planted=planted,
            operator=operator,
            patient=patient,
            session_id=data.session_id,
            completed=completed,
            depth_mm=data.depth_mm,
            cartridge_lot=data.cartridge_lot,
            firmware=self._upkeep.firmware(pen.device),
            contraindication_overridden=data.contraindication_overridden,
            series_complete=phase == "series" and patient.sessions == protocol.sessions_planned,
            next_visit=None if next_day is None else self._clinic.second(next_day),
        )
        self._all_later(outcomes(treated, rng, parameters))
        self._all_later(afterwards(treated, own, parameters))
        return needling

    def _state(self, data: SessionCompleted, completed: int, rng: random.Random) -> None:
        """The session's event, and now and then a slip at the front desk that is put right."""
        event_id, type_ = f"{data.session_id}-completed", "session.completed.v1"
        source, number, topic = self._clinic.source, self._clinic.number, SESSIONS.name
        self._later(item(source, number, completed, event_id, topic, type_, data))
        slip, delay = rng.random(), rng.randint(120, 7200)
        if slip < self._parameters.session_entered_twice:
            twice = msgspec.structs.replace(data, session_id=f"{data.session_id}{AGAIN}")
            twice_id = f"{twice.session_id}-completed"
            self._later(item(source, number, completed + 60, twice_id, topic, type_, twice))
            void = EventVoided(voided_id=twice_id, reason="duplicate-entry")
            at = completed + 60 + delay
            self._later(item(source, number, at, f"{twice_id}-voided", topic, "event.voided.v1", void))
        elif slip > 1 - self._parameters.session_corrected:
            right = msgspec.structs.replace(data, passes=data.passes + 1)
            corrected_id = f"{event_id}-c1"
            self._later(item(source, number, completed + delay, corrected_id, topic, type_, right, event_id))

    # ── devices ─────────────────────────────────────────────────────────────────────────────────────────

    def _calibrate(self, day: dt.date, opening: int, rng: random.Random) -> None:
        """Calibrate what is due before the first patient; every device on its first day in the network."""
        for index, pen in enumerate(self._pens):
            device_id = pen.device.device_id
            due = self._calibration_due.get(device_id)
            if due is not None and day < due:
                continue
            days = rng.uniform(*self._clinic.calibration_days)
            if due is None:  # spread the devices of a network that joined on one day
                days *= rng.uniform(*self._clinic.first_calibration_share)
            self._calibration_due[device_id] = day + dt.timedelta(days=round(days))
            second = opening + 300 * index
            found = round(pen.depth_error_mm(second, self._parameters), 3)
            pen.calibrated_at = second
            data = DeviceCalibrated(device_id=device_id, depth_error_mm=found)
            event_id = f"c-{device_id}-{next(self._calibrations)}"
            self._later(
                item(
                    self._clinic.source,
                    self._clinic.number,
                    second,
                    event_id,
                    TELEMETRY.name,
                    "device.calibrated.v1",
                    data,
                )
            )

    def _telemetry(
        self, day: dt.date, hours: tuple[int, int], needlings: list[list[Needling]]
    ) -> Iterator[Stretch]:
        for index, pen in enumerate(self._pens):
            seed = (self._world.seed, self._clinic.number, day.toordinal(), index)
            yield from device_day(self._clinic, pen, needlings[index], hours, seed, self._parameters)


def _later_on(day: dt.date, rng: random.Random, parameters: Parameters) -> dt.date:
    return day + dt.timedelta(days=rng.randint(*map(int, parameters.deferred_days)))


def _poisson(mean: float, rng: random.Random) -> int:
    """A Poisson draw by multiplying uniforms, good for small means [Knuth, TAOCP 2, 3.4.1]."""
    limit, product, count = math.exp(-mean), rng.random(), 0
    while product > limit:
        product *= rng.random()
        count += 1
    return count
