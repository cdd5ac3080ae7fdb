"""The one door: what a clinic's system states becomes a checked, pseudonymous entry, or is refused.

HTTP, the watched folder and the command line all come through here. In this order: strict JSON; the patient's
reference becomes a pseudonym; the contract; the clinic. Nothing is stored of what is refused.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from producers.contracts import EVENTS, ContractViolation, Event, clinic_of, decode, partition_key
from producers.contracts.codec import MAX_EVENT_BYTES
from producers.gateway.outbox import Entry, EventConflict, Outbox
from producers.gateway.pseudonyms import PatientPseudonyms

REFERENCE = "patient_reference"
"""The field in which a clinic's system names the patient; it never leaves the gateway."""
MAX_REFERENCE_CHARACTERS = 200
"""No patient number is longer [A]."""
TELLING_CHARACTERS = 5
"""A shorter reference, or one of digits only, may stand in another field by mere coincidence [A]."""

IDENTITY = {
    "name", "firstname", "givenname", "forename", "lastname", "familyname", "surname", "fullname",
    "patientname", "initials", "birthdate", "dateofbirth", "birthday", "dob", "birthyear", "email",
    "emailaddress", "mail", "phone", "phonenumber", "telephone", "mobile", "address", "street",
    "city", "postcode", "postalcode", "zip", "zipcode", "ssn", "socialsecuritynumber", "nhsnumber",
    "nationalid", "passport", "insurancenumber", "photo", "image", "picture", "note", "notes",
    "comment", "comments", "remark", "remarks", "freetext", "text",
}  # fmt: skip
"""Names of fields that tell who somebody is; only to explain a refusal: every unknown field is refused."""


@dataclass(frozen=True)
class Refusal:
    """Why an event is refused: its place among those given (from 0), rule, field, in words. No values."""

    index: int
    rule: str
    path: str
    detail: str


class Refused(Exception):
    """At least one event is not acceptable, so none was stored."""

    def __init__(self, refusals: Sequence[Refusal]) -> None:
        super().__init__(f"{len(refusals)} events refused")
        self.refusals = tuple(refusals)


@dataclass(frozen=True)
class Accepted:
    """Events now on disk: new ones, and those that were there already."""

    stored: int
    repeated: int


class Intake:
    """Checks events and puts them in the outbox."""

    def __init__(
        self,
        outbox: Outbox,
        pseudonyms: Mapping[str, PatientPseudonyms],
        *,
        trust_patient_keys: bool = False,
    ) -> None:
        """`pseudonyms` by clinic. `trust_patient_keys` lets through pseudonyms made elsewhere."""
        self._outbox = outbox
        self._pseudonyms = pseudonyms
        self._trust_patient_keys = trust_patient_keys

    @property
    def clinics(self) -> frozenset[str]:
        return frozenset(self._pseudonyms)

    def accept(self, values: Sequence[bytes], clinic: str, now: datetime) -> Accepted:
        """Store all of these events of a clinic, or none.

        Raises Refused with every refusal, OutboxFull, OutboxUnavailable.
        """
        entries, refusals = self.judge_all(values, clinic, now)
        if refusals:
            raise Refused(refusals)
        try:
            stored = self._outbox.put(entries, now)
        except EventConflict as conflict:
            raise Refused([_conflict(index) for index in conflict.indices]) from None
        return Accepted(stored, len(entries) - stored)

    def judge_all(
        self, values: Sequence[bytes], clinic: str, now: datetime
    ) -> tuple[list[Entry], list[Refusal]]:
        """The entries of the good ones, and what is wrong with the others."""
        entries, refusals = [], []
        for index, value in enumerate(values):
            try:
                entries.append(self.judge(value, clinic, now))
            except ContractViolation as violation:
                refusals.append(Refusal(index, violation.rule, violation.path, violation.detail))
        return entries, refusals

    def conflicts(self, entries: Sequence[Entry]) -> list[Refusal]:
        """Refusals of those whose id another stored event has."""
        return [_conflict(index) for index in self._outbox.taken(entries)]

    def judge(self, value: bytes, clinic: str, now: datetime) -> Entry:
        """One event as it will be stored and sent. Raises ContractViolation."""
        if len(value) > MAX_EVENT_BYTES:
            raise ContractViolation("size.exceeded", "$", f"larger than {MAX_EVENT_BYTES} bytes")
        stated = strict_json(value)
        try:
            event, canonical = decode(self._pseudonymous(value, stated, clinic), now=now)
        except ContractViolation as violation:
            raise _explained(violation, stated) from None
        if clinic_of(event.source) != clinic:
            raise ContractViolation("clinic.wrong", "$.source", f"must be /clinics/{clinic}")
        key = partition_key(event).encode()
        return Entry(event.source, event.id, self._topic(event), key, canonical)

    def _pseudonymous(self, value: bytes, stated: Any, clinic: str) -> bytes:
        """The event with the patient's pseudonym in place of the reference; all else stays byte for byte."""
        data = stated.get("data") if isinstance(stated, dict) else None
        if not isinstance(data, dict):
            return value
        if "patient_key" in data and not self._trust_patient_keys:
            raise ContractViolation(
                "patient.key-given",
                "$.data.patient_key",
                f"give the clinic's own number as `{REFERENCE}`; the gateway makes the pseudonym",
            )
        if REFERENCE not in data:
            return value
        if "patient_key" in data:
            raise ContractViolation(
                "patient.ambiguous", "$.data.patient_key", f"given together with `{REFERENCE}`"
            )
        reference = _reference(data[REFERENCE])
        _refuse_repeated(reference, stated)
        fields = _raw_fields(value)
        raw = _raw_fields(fields["data"])
        del raw[REFERENCE]
        raw["patient_key"] = msgspec.json.encode(self._pseudonyms[clinic].of(reference))
        fields["data"] = _joined(raw)
        return _joined(fields)

    def _topic(self, event: Event[Any]) -> str:
        """Where the event belongs; a voiding one follows what it voids, as far as we remember."""
        topics = [topic.name for topic in EVENTS[event.type].topics]
        if len(topics) == 1:
            return topics[0]
        voided = getattr(event.data, "voided_id", "")
        known = self._outbox.topic_of(event.source, voided)
        return known if known is not None and known in topics else topics[0]


def strict_json(value: bytes) -> Any:
    """One JSON document in UTF-8: no duplicate key, no NaN, no endless number or nesting.

    Raises ContractViolation.
    """
    try:
        return json.loads(value.decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
    except UnicodeDecodeError:
        raise ContractViolation("json.invalid", "$", "not UTF-8") from None
    except RecursionError:
        raise ContractViolation("json.invalid", "$", "nested too deeply") from None
    except json.JSONDecodeError as error:
        raise ContractViolation("json.invalid", "$", f"not JSON, at byte {error.pos}") from None
    except ValueError:
        raise ContractViolation("json.invalid", "$", "a number with too many digits") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ContractViolation("json.duplicate-key", "$", "an object has the same key twice")
    return found


def _no_constant(name: str) -> None:
    raise ContractViolation("json.invalid", "$", f"{name} is not JSON")


def _reference(given: Any) -> str:
    if isinstance(given, int) and not isinstance(given, bool):
        given = str(given)
    if not isinstance(given, str) or not given.strip() or len(given) > MAX_REFERENCE_CHARACTERS:
        raise ContractViolation(
            "patient.reference",
            f"$.data.{REFERENCE}",
            f"must be text of 1 to {MAX_REFERENCE_CHARACTERS} characters, or a whole number",
        )
    try:
        given.encode()
    except UnicodeEncodeError:
        raise ContractViolation("patient.reference", f"$.data.{REFERENCE}", "is not valid text") from None
    return str(given.strip())


def _refuse_repeated(reference: str, stated: dict[str, Any]) -> None:
    """A session number made from the patient's number would carry it out of the clinic."""
    if len(reference) < TELLING_CHARACTERS or reference.isdigit():
        return
    pattern = re.compile(rf"(?<![^\W_]){re.escape(reference)}(?![^\W_])", re.IGNORECASE)
    data = stated["data"]
    others = [(f"$.{name}", stated.get(name)) for name in ("id", "source", "supersedes")]
    others += [(f"$.data.{name}", text) for name, text in data.items() if name != REFERENCE]
    for path, text in others:
        if isinstance(text, str) and pattern.search(text):
            field = path if re.fullmatch(r"\$(\.[a-z_]+)+", path) else "$.data"
            raise ContractViolation("patient.repeated", field, "contains the patient's own reference")


def _explained(violation: ContractViolation, stated: Any) -> ContractViolation:
    """Names an unknown field that tells who somebody is; any other unknown name may be a person's own."""
    if violation.rule != "field.unknown" or not isinstance(stated, dict):
        return violation
    data = stated.get("data")
    places = [("$", stated), ("$.data", data if isinstance(data, dict) else {})]
    for path, fields in places:
        for name in fields:
            if re.sub(r"[\s_.-]", "", name).lower() in IDENTITY and name.isascii():
                field = f"{path}.{name.strip()}"
                return ContractViolation("identity.refused", field, "an event never says who a person is")
    return violation


def _conflict(index: int) -> Refusal:
    return Refusal(
        index, "id.conflict", "$.id", "another event of this source has this id, with other content"
    )


def _raw_fields(value: bytes) -> dict[str, bytes]:
    try:
        raw = msgspec.json.decode(value, type=dict[str, msgspec.Raw])
        return {name: bytes(part) for name, part in raw.items()}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # half a surrogate pair, for instance
        raise ContractViolation("json.invalid", "$", "not strict JSON") from None


def _joined(fields: Mapping[str, bytes]) -> bytes:
    return b"{" + b",".join(msgspec.json.encode(name) + b":" + raw for name, raw in fields.items()) + b"}"
