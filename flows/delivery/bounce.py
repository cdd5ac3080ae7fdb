"""A bounce, read: which delivery of ours came back, and why.

A report on delivery (RFC 3464) is a multipart/report of a text for people, message/delivery-status for us,
and the message that came back or its headers. Only its Message-ID says which delivery it was: anything else
is refused.
"""

import email
import email.policy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message

from producers.contracts import CheckFailed

_OURS = re.compile(r"<([0-9a-f]{24})@[^<>@\s]+>")
_STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")

BAD_ADDRESS = ("5.1.", "5.2.1")
"""Status codes (RFC 3463) that say the address itself does not work: nothing more is sent there."""


@dataclass(frozen=True)
class Bounce:
    """What came back. `detail`: the status and the server's own words; `address`: the address is no good."""

    delivery: str
    detail: str
    address: bool


def read(content: bytes) -> Bounce:
    """Raises CheckFailed for a message that is no bounce, not of a message of ours, or not final."""
    message = email.message_from_bytes(content, policy=email.policy.compat32)
    reports = [part for part in message.walk() if part.get_content_type() == "message/delivery-status"]
    if not reports:
        raise CheckFailed("no bounce: it has no message/delivery-status part")
    recipients = [block for block in _blocks(reports[0]) if block["Action"]]
    failed = [block for block in recipients if _field(block, "Action").lower() == "failed"]
    if not failed:
        told = ", ".join(_field(block, "Action").lower() for block in recipients) or "nothing"
        raise CheckFailed(f"the mail server says {told}, not failed: there is nothing to book")
    return _bounce(_delivery(message), failed[0])


def _bounce(delivery: str, block: Message) -> Bounce:
    status = _STATUS.search(_field(block, "Status"))
    code = status[0] if status else "without a status code"
    words = _field(block, "Diagnostic-Code").partition(";")[2].strip()
    return Bounce(delivery, f"bounced {code}" + (f": {words}" if words else ""), code.startswith(BAD_ADDRESS))


def _delivery(message: Message) -> str:
    """The name of the delivery that came back, from its own Message-ID."""
    for returned in _returned(message):
        if found := _OURS.fullmatch(_field(returned, "Message-ID")):
            return found[1]
    raise CheckFailed("the message that came back has no Message-ID of ours")


def _returned(message: Message) -> Iterator[Message]:
    for part in message.walk():
        if part.get_content_type() == "message/rfc822":
            yield from _blocks(part)
        elif part.get_content_type() == "text/rfc822-headers":
            content = part.get_payload(decode=True)
            if isinstance(content, bytes):
                yield email.message_from_bytes(content, policy=email.policy.compat32)


def _blocks(part: Message) -> list[Message]:
    payload = part.get_payload()
    return [block for block in payload if isinstance(block, Message)] if isinstance(payload, list) else []


def _field(block: Message, name: str) -> str:
    """A header on one line."""
    return " ".join(str(block[name] or "").split())
