"""What an integrator asks about one event: its fields, their limits and meaning, as plain rows."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from producers.contracts.documents import event_schema


@dataclass(frozen=True)
class FieldNote:
    """One field of an event's data; `steps[].passes` is a field of each element of `steps`."""

    name: str
    kind: str
    required: bool
    meaning: str


def field_notes(type_: str) -> list[FieldNote]:
    """The fields of an event type and version in order, read from its JSON Schema."""
    schema = event_schema(type_)
    return list(_notes(schema["properties"]["data"], schema.get("$defs", {}), ""))


def _notes(record: dict[str, Any], defined: dict[str, Any], within: str) -> Iterator[FieldNote]:
    for name, property_ in record["properties"].items():
        stated = property_["anyOf"][0] if "anyOf" in property_ else property_
        required = name in record["required"] and not within
        yield FieldNote(f"{within}{name}", _kind(stated), required, stated.get("description", ""))
        if "$ref" in stated.get("items", {}):
            inner = defined[stated["items"]["$ref"].rsplit("/", 1)[1]]
            yield from _notes(inner, defined, f"{within}{name}[].")


_MOMENTS = {"date-time": "time with offset", "date": "date"}


def _kind(stated: dict[str, Any]) -> str:
    """The JSON a field takes, with its limits, in words."""
    if "enum" in stated:
        return "one of " + ", ".join(map(str, stated["enum"]))
    match stated.get("type"):
        case "array":
            items = "objects" if "$ref" in stated["items"] else _kind(stated["items"])
            return f"list of {stated.get('minItems', 0)} to {stated['maxItems']}: {items}"
        case "integer" | "number" as number:
            return f"{number} {_bounds(stated)}"
        case "boolean":
            return "true or false"
        case "string":
            if stated.get("format") in _MOMENTS:
                return _MOMENTS[stated["format"]]
            return "text like " + stated["pattern"].replace(r"(?!\n)", "")
    raise AssertionError(f"no words for {stated}")


def _bounds(stated: dict[str, Any]) -> str:
    low = f"from {stated['minimum']:g}" if "minimum" in stated else f"above {stated['exclusiveMinimum']:g}"
    return f"{low} to {stated['maximum']:.16g}"
