"""A clinic's diary: who is booked when, who calls it off, who stays away; stated when it happens."""

import datetime as dt
import itertools
import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from producers.contracts.events import SESSIONS, Data, SessionBooked, SessionCancelled, SessionMissed
from producers.simulator.items import Item, instant, item
from producers.simulator.parameters import Parameters
from producers.simulator.patients import Patient, misses
from producers.simulator.world import Clinic

SLOT_SECONDS = 3600
"""A room is booked by the hour; a session takes 30-60 min [S]."""
_NOTICE_SECONDS = 2 * 3600
"""Whoever calls later than this before the visit counts as staying away [A]."""
_GIVEN_UP_SECONDS = 20 * 60
"""How long a clinic waits for a patient [A]."""
_REASONS = (("patient-request", "illness", "operator-unavailable"), (0.6, 0.3, 0.1))  # [A]


@dataclass(frozen=True, order=True)
class Slot:
    """A room from a second since 1970 on."""

    second: int
    room: int


@dataclass(frozen=True)
class Booking:
    """A visit to come; `session_id` is the session's from here on."""

    number: int
    session_id: str
    patient: Patient


class Diary:
    """The bookings of one clinic, kept until their day has come; `state` takes what is to be stated."""

    def __init__(
        self, clinic: Clinic, rooms: int, parameters: Parameters, state: Callable[[Item], None]
    ) -> None:
        self._clinic = clinic
        self._rooms = rooms
        self._parameters = parameters
        self._state = state
        self._booked: defaultdict[dt.date, dict[Slot, Booking]] = defaultdict(dict)
        self._numbers = itertools.count(1)

    def book(self, patient: Patient, wish: dt.date, at: int, rng: random.Random) -> dt.date | None:
        """Book the first free working day from `wish` on, in a call at the second `at`.

        Gives the day of the visit, later when it will be called off and booked anew; None when never.
        """
        day, slot = self._free(wish, rng)
        number = next(self._numbers)
        booking = Booking(number, f"s-{self._clinic.clinic_id}-{number}", patient)
        self._say(at, booking, "booked", "session.booked.v1", self._booking(booking, slot, rng))
        called = at + int(rng.random() * (slot.second - _NOTICE_SECONDS - at))
        if rng.random() >= self._parameters.cancelled or called <= at:
            self._booked[day][slot] = booking
            return day
        reason = rng.choices(*_REASONS)[0]
        data = SessionCancelled(
            session_id=booking.session_id,
            patient_key=patient.key,
            cancelled_by="clinic" if reason == "operator-unavailable" else "patient",
            reason=reason,  # type: ignore[arg-type]
        )
        self._say(called, booking, "cancelled", "session.cancelled.v1", data)
        if rng.random() >= self._parameters.rebooks_after_cancelling:
            return None
        return self.book(patient, self._instead(day, rng), called + 60, rng)

    def arrivals(self, day: dt.date, rng: random.Random) -> list[tuple[Slot, Booking]]:
        """Who comes that day, in order of time; who stays away is stated, and perhaps booked anew."""
        come = []
        for slot, booking in sorted(self._booked.pop(day, {}).items(), key=lambda pair: pair[0]):
            if not misses(booking.patient, rng, self._parameters):
                come.append((slot, booking))
                continue
            missed = slot.second + _GIVEN_UP_SECONDS
            data = SessionMissed(
                session_id=booking.session_id,
                patient_key=booking.patient.key,
                scheduled_at=instant(slot.second),
            )
            self._say(missed, booking, "missed", "session.missed.v1", data)
            if rng.random() < self._parameters.rebooks_after_no_show:
                self.book(booking.patient, self._instead(day, rng), missed + 1800, rng)
        return come

    def _instead(self, day: dt.date, rng: random.Random) -> dt.date:
        low, high = self._parameters.rebooking_days
        return day + dt.timedelta(days=rng.randint(int(low), int(high)))

    def _free(self, wish: dt.date, rng: random.Random) -> tuple[dt.date, Slot]:
        """The first working day from `wish` on with a free slot, and one of them."""
        while True:
            day = self._clinic.next_open(wish)
            opens = self._clinic.second(day, self._clinic.opens_hour)
            closes = self._clinic.second(day, self._clinic.closes_hour)
            free = [
                slot
                for second in range(opens, closes - SLOT_SECONDS + 1, SLOT_SECONDS)
                for room in range(self._rooms)
                if (slot := Slot(second, room)) not in self._booked[day]
            ]
            if free:
                return day, rng.choice(free)
            wish = day + dt.timedelta(days=1)

    def _booking(self, booking: Booking, slot: Slot, rng: random.Random) -> SessionBooked:
        patient = booking.patient
        return SessionBooked(
            session_id=booking.session_id,
            patient_key=patient.key,
            scheduled_at=instant(slot.second),
            duration_min=SLOT_SECONDS // 60,
            phase=patient.phase,
            indication=patient.indication,
            channel="in-person" if patient.sessions else rng.choice(("online", "online", "phone", "app")),
            prepaid=patient.prepaid,
            protocol_id=patient.protocol.published.protocol_id,
        )

    def _say(self, second: int, booking: Booking, what: str, type_: str, data: Data) -> None:
        event_id = f"{booking.session_id}-{what}"
        self._state(
            item(self._clinic.source, self._clinic.number, second, event_id, SESSIONS.name, type_, data)
        )
