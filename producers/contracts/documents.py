"""JSON Schemas of the events and the AsyncAPI document of the topics, generated from the types.

A schema says what JSON Schema can say: the decoder also refuses what contradicts itself, and holds times
against the clock. Whatever the decoder accepts, the schema accepts.

    python -m producers.contracts.documents       # write them again, after a new version was added
"""

import functools
import inspect
import json
from pathlib import Path
from typing import Any

import msgspec

from producers.contracts.codec import CODEC_VERSION, encode
from producers.contracts.events import EVENTS, TOPICS, Event, EventClass, Topic
from producers.contracts.examples import example
from producers.contracts.limits import MAX_EVENT_BYTES

FOLDER = Path(__file__).parent / "schemas"
ASYNCAPI = "asyncapi.json"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
_DAY_MS = 86_400_000


@functools.cache
def event_schema(type_: str) -> dict[str, Any]:
    """JSON Schema (2020-12) of one event type and version: envelope and data. Not to be changed."""
    event_class = EVENTS[type_]
    defined = msgspec.json.schema(Event[event_class.data])["$defs"]  # type: ignore[name-defined]
    envelope = defined.pop(f"Event_{event_class.data.__name__}_")
    data = defined.pop(event_class.data.__name__)
    properties = {**envelope["properties"], "type": {"const": type_}, "data": _inlined(data, event_class)}
    return {
        "$schema": DIALECT,
        "$id": f"urn:dermastream:event:{type_}",
        **envelope,
        "title": type_,
        "description": describe(event_class),
        "properties": properties,
        "examples": [json.loads(encode(example(type_)))],
        **({"$defs": defined} if defined else {}),
    }


def _inlined(data: dict[str, Any], event_class: EventClass) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key not in ("title", "description")}


def describe(event_class: EventClass) -> str:
    """What an event says, in the words of its class."""
    return inspect.cleandoc(event_class.data.__doc__ or "")


# ── AsyncAPI ────────────────────────────────────────────────────────────────────────────────────────────


def asyncapi() -> dict[str, Any]:
    """The topics and what travels on them, as an AsyncAPI 3.0 document that refers to the schema files."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "dermastream: what clinics say",
            "version": f"{CODEC_VERSION}.0.0",
            "description": (
                "Events of micro-needling clinics as CloudEvents 1.0 on Kafka, in structured mode (one JSON "
                "document) or binary mode (attributes in `ce_` headers, the data in the value). An event is "
                f"refused when larger than {MAX_EVENT_BYTES} bytes, or when it has a field that is not here. "
                "Limits name their origin: [S] the clinics' description of the treatment, [L] literature or "
                "a regulator's record, [A] an assumption."
            ),
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/cloudevents+json",
        "channels": {topic.name: _channel(topic) for topic in TOPICS.values()},
        "operations": {
            f"receive.{topic.name}": {
                "action": "receive",
                "summary": f"dermastream reads what clinics send to {topic.name}",
                "channel": {"$ref": f"#/channels/{topic.name}"},
            }
            for topic in TOPICS.values()
        },
        "components": {"messages": {type_: _message(e) for type_, e in EVENTS.items()}},
    }


def _channel(topic: Topic) -> dict[str, Any]:
    return {
        "address": topic.name,
        "messages": {
            type_: {"$ref": f"#/components/messages/{type_}"}
            for type_, event_class in EVENTS.items()
            if topic in event_class.topics
        },
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions,
                "topicConfiguration": {
                    "cleanup.policy": [topic.cleanup_policy],
                    "retention.ms": topic.retention_days * _DAY_MS,
                },
                "bindingVersion": "0.5.0",
            }
        },
    }


def _message(event_class: EventClass) -> dict[str, Any]:
    type_ = event_class.type
    return {
        "name": type_,
        "title": type_,
        "summary": describe(event_class).splitlines()[0],
        "contentType": "application/cloudevents+json",
        "payload": {
            "schemaFormat": "application/schema+json;version=2020-12",
            "schema": {"$ref": f"./{type_}.json"},
        },
        "bindings": {
            "kafka": {
                "key": {"type": "string", "description": event_class.key_form},
                "bindingVersion": "0.5.0",
            }
        },
        "examples": [{"name": "every-field", "payload": json.loads(encode(example(type_)))}],
    }


# ── files ───────────────────────────────────────────────────────────────────────────────────────────────


def documents() -> dict[str, str]:
    """Every published file of the folder by name, with its text."""
    found = {f"{type_}.json": event_schema(type_) for type_ in EVENTS} | {ASYNCAPI: asyncapi()}
    return {
        name: json.dumps(document, indent=2, ensure_ascii=False) + "\n" for name, document in found.items()
    }


def write() -> None:
    """Bring the folder up to date."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in documents().items():
        (FOLDER / name).write_text(text)


if __name__ == "__main__":
    write()
