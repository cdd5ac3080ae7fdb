"""CloudEvents' binary mode: the envelope in headers, the data alone in the value.

Source: CloudEvents 1.0.2, Kafka protocol binding, section 3.2. Headers that are none of CloudEvents'
(tracing, for one) are transport's business and passed over.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from producers.contracts.errors import ContractViolation

Headers = Iterable[tuple[str, bytes | None]]

PREFIX = "ce_"
_STRUCTURED = "application/cloudevents"
_ATTRIBUTES = ("specversion", "id", "source", "type", "time", "supersedes")


def structured(value: bytes, headers: Headers | None, *, prefix: str = PREFIX) -> bytes:
    """The event as one JSON document, whichever mode it was sent in; what is structured is given as it is.

    The document of an event in binary mode is the one that structured mode would have had, so both say the
    same event. `prefix` is `ce_` in Kafka and `ce-` in HTTP. Raises ContractViolation.
    """
    if not headers:
        return value
    content_type, attributes = _split(headers, prefix)
    if content_type.startswith(_STRUCTURED) or not attributes:
        _expect(content_type, ("", "application/json", f"{_STRUCTURED}+json"))
        return value
    _expect(content_type, ("", "application/json"))
    try:
        data = msgspec.json.decode(value, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        raise ContractViolation("json.invalid", "$.data", "the value is not one strict JSON value") from None
    present: dict[str, Any] = {name: attributes[name] for name in _ATTRIBUTES if name in attributes}
    return msgspec.json.encode(present | {"data": data})


def _split(headers: Headers, prefix: str) -> tuple[str, dict[str, str]]:
    """The media type without its parameters, in lower case, and the CloudEvents attributes by name."""
    found: dict[str, str] = {}
    for name, content in headers:
        if name.lower() == "content-type":
            attribute = "content-type"
        elif name.startswith(prefix):
            attribute = name.removeprefix(prefix)
            if attribute not in _ATTRIBUTES:
                raise ContractViolation("field.unknown", "$", "a header names an unknown attribute")
        else:
            continue
        if attribute in found:
            raise ContractViolation("header.duplicate", _path(attribute), "the same header twice")
        found[attribute] = _text(attribute, content)
    media_type = found.pop("content-type", "").split(";")[0].strip().lower()
    return media_type, found


def _path(attribute: str) -> str:
    return "$" if attribute == "content-type" else f"$.{attribute}"


def _text(attribute: str, content: bytes | None) -> str:
    try:
        return (content or b"").decode()
    except UnicodeDecodeError:
        raise ContractViolation("header.invalid", _path(attribute), "a header is not UTF-8") from None


def _expect(content_type: str, allowed: tuple[str, ...]) -> None:
    if content_type not in allowed:
        kinds = " or ".join(filter(None, allowed))
        raise ContractViolation("content-type.unsupported", "$", f"the content type must be {kinds}")
