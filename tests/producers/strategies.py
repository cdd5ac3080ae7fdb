"""Random events of every type, made from the contracts' own type descriptions."""

import datetime as dt
from typing import Any

import msgspec
from hypothesis import strategies as st
from msgspec.structs import replace

from producers.contracts import EVENTS, Event
from producers.contracts.events import (
    AdverseEventReportedV2,
    AssessmentRecorded,
    AssessmentRecordedV2,
    Data,
    DeviceFirmwareUpdated,
    EventVoided,
    ProtocolPublishedV2,
    SessionScreened,
    TelemetryFrame,
)
from producers.contracts.scales import SCALES

NOW = dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC)


def events() -> st.SearchStrategy[Event[Any]]:
    """An event of any type whose single fields satisfy the contract; fields may contradict each other."""
    return st.sampled_from(sorted(EVENTS)).flatmap(event_of)


def event_of(name: str) -> st.SearchStrategy[Event[Any]]:
    """An event of one type and version; fields may contradict each other."""
    info = msgspec.inspect.type_info(Event[EVENTS[name].data])  # type: ignore[name-defined]
    return _struct(info, type=st.just(name))


def good_event_of(name: str) -> st.SearchStrategy[Event[Any]]:
    """An event of one type and version that the contracts accept."""
    return event_of(name).map(lambda event: replace(event, supersedes=None, data=_agreeing(event.data)))


def _agreeing(data: Data) -> Data:
    """The data with what contradicts itself put right."""
    for early, late in (
        ("started_at", "completed_at"),
        ("onset_at", "became_aware_at"),
        ("onset_at", "resolved_at"),
    ):
        first, last = getattr(data, early, None), getattr(data, late, None)
        if first is not None and last is not None and last < first:
            data = replace(data, **{early: last, late: first})
    match data:
        case TelemetryFrame():
            n = min(len(data.depth_mm), len(data.stroke_rate_per_min), len(data.motor_current_ma))
            cut = {name: getattr(data, name)[:n] for name in CHANNELS}
            return replace(data, **cut)
        case AssessmentRecorded():
            scale = SCALES[data.scale]
            said = {"direction": scale.direction} if isinstance(data, AssessmentRecordedV2) else {}
            score = min(max(data.score, float(scale.low)), float(scale.high))
            return replace(data, score=score, **said)
        case AdverseEventReportedV2():
            return replace(data, serious=data.serious or data.seriousness_criterion is not None)
        case SessionScreened():
            return replace(data, decision="treat-overriding" if data.contraindications else "defer")
        case ProtocolPublishedV2():
            return replace(data, depth_limit_mm=3.0, stroke_rate_limit_per_min=None, passes_limit=50)
        case DeviceFirmwareUpdated():
            return replace(data, previous_firmware=None)
        case EventVoided():
            return replace(data, voided_id="another:" + data.voided_id[:100])
    return data


CHANNELS = ("depth_mm", "stroke_rate_per_min", "motor_current_ma")


def _struct(info: Any, **given: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    chosen = {field.name: given.get(field.name, _field(field)) for field in info.fields}
    return st.builds(info.cls, **chosen)


def _field(field: Any) -> st.SearchStrategy[Any]:
    if field.name == "udi_di":
        return st.none() | _gtins() if not field.required else _gtins()
    if field.name == "time_zone":
        return st.sampled_from(["Europe/London", "Asia/Kolkata", "UTC"])
    if field.name == "display_name":
        return st.text("Aä. 中'", min_size=1, max_size=80).filter(lambda text: text == text.strip())
    return _value(field.type)


def _value(info: Any) -> st.SearchStrategy[Any]:
    match info:
        case msgspec.inspect.Metadata():
            return _value(info.type)
        case msgspec.inspect.StructType():
            return _struct(info)
        case msgspec.inspect.StrType(pattern=None):
            return st.text(max_size=20)
        case msgspec.inspect.StrType():
            return st.from_regex(info.pattern)
        case msgspec.inspect.IntType():
            return st.integers(info.ge, info.le)
        case msgspec.inspect.FloatType():
            return st.floats(info.gt if info.ge is None else info.ge, info.le, exclude_min=info.ge is None)
        case msgspec.inspect.BoolType():
            return st.booleans()
        case msgspec.inspect.NoneType():
            return st.none()
        case msgspec.inspect.LiteralType():
            return st.sampled_from(info.values)
        case msgspec.inspect.ListType():
            items = _value(info.item_type)
            unique = isinstance(info.item_type, msgspec.inspect.LiteralType)
            return st.lists(items, min_size=info.min_length or 0, max_size=4, unique=unique)
        case msgspec.inspect.UnionType():
            return st.one_of(map(_value, info.types))
        case msgspec.inspect.DateType():
            return st.dates(dt.date(2000, 1, 1), NOW.date())
        case msgspec.inspect.DateTimeType():
            return _instants()
    raise NotImplementedError(type(info))


def _instants() -> st.SearchStrategy[dt.datetime]:
    naive = st.datetimes(dt.datetime(2000, 1, 2), NOW.replace(tzinfo=None) - dt.timedelta(days=1))
    offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: dt.timezone(dt.timedelta(minutes=minutes)))
    return st.builds(lambda moment, zone: moment.replace(tzinfo=zone), naive, offsets)


def _gtins() -> st.SearchStrategy[str]:
    """Fourteen digits of which the last checks the others."""
    return st.integers(0, 10**13 - 1).map(lambda n: f"{n:013}{check_digit(f'{n:013}')}")


def check_digit(digits: str) -> int:
    """The GS1 check digit of thirteen digits, the plain way: weights 3 and 1, from the left."""
    return -sum(int(d) * w for d, w in zip(digits, [3, 1] * 7, strict=False)) % 10
