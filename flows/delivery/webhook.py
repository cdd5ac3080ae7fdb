"""The webhook channel: signed as Standard Webhooks says (standardwebhooks.com, 1.0.0).

`webhook-id` is the delivery's id and the same in every attempt: the receiver drops what it has already seen.
That is why, other than mail, an attempt without an answer is simply made again.
"""

import base64
import binascii
import datetime as dt
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx

from flows.delivery.smtp import NotNow, Refused
from producers.contracts import SettingsError
from warehouse.deliveries import Delivery

_LATER = frozenset((408, 425, 429))
"""Answers that ask for another attempt, besides all of 5xx."""


@dataclass(frozen=True)
class WebhookChannel:
    """Posts JSON to one address, signed with one secret."""

    url: str
    secret: bytes = field(repr=False)
    timeout: float
    clock: Callable[[], dt.datetime]

    def make(self, delivery: Delivery) -> bytes:
        """See Channel."""
        return json.dumps(json.loads(delivery.content), sort_keys=True, separators=(",", ":")).encode()

    def send(self, delivery: Delivery, made: bytes, before_final: Callable[[], None]) -> str:
        """See Channel. `before_final` is not called: the receiver knows the id, so nothing is unknown."""
        sent_at = str(int(self.clock().timestamp()))
        headers = {
            "content-type": "application/json",
            "webhook-id": delivery.id,
            "webhook-timestamp": sent_at,
            "webhook-signature": signature(self.secret, delivery.id, sent_at, made),
        }
        try:
            answer = httpx.post(self.url, content=made, headers=headers, timeout=self.timeout)
        except httpx.HTTPError as error:
            raise NotNow(f"webhook: {type(error).__name__}") from error
        said = f"HTTP {answer.status_code}"
        if answer.is_success:
            return said
        if answer.status_code in _LATER or answer.is_server_error:
            raise NotNow(f"webhook: {said}")
        raise Refused(f"webhook: {said}")


def signature(secret: bytes, id_: str, timestamp: str, body: bytes) -> str:
    """`v1,<base64>`: HMAC-SHA-256 of id, time and body, joined by dots."""
    signed = b".".join((id_.encode(), timestamp.encode(), body))
    return "v1," + base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()


def secret_of(text: str) -> bytes:
    """The key of `whsec_<base64>`. Raises SettingsError for what is none, or is shorter than 24 bytes."""
    try:
        key = base64.b64decode(text.strip().removeprefix("whsec_"), validate=True)
    except binascii.Error:
        key = b""
    if len(key) < 24:
        raise SettingsError(
            "DERMASTREAM_WEBHOOK_SECRET_FILE: holds no whsec_ secret of 24 to 64 bytes in base64"
        )
    return key
