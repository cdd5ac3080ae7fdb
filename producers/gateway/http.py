"""The HTTP door, on loopback: CloudEvents over HTTP in structured, batched and binary mode.

An answer of 202 means: on disk. Every refusal is problem+json (RFC 9457) that names field and rule, and
leaves nothing behind. What the sender can repair is 4xx; 507 is a full disk, 503 means "come back".
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import unquote_to_bytes

import anyio
import anyio.to_thread
import msgspec
import structlog
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from producers.contracts import EVENTS, ContractViolation, SettingsError
from producers.contracts.binary import structured
from producers.contracts.codec import MAX_EVENT_BYTES
from producers.gateway.forwarder import Forwarder
from producers.gateway.intake import Intake, Refusal, Refused
from producers.gateway.metrics import exposition
from producers.gateway.outbox import Outbox, OutboxFull, OutboxState, OutboxUnavailable
from producers.gateway.settings import GatewaySettings
from producers.gateway.tokens import Tokens

SINGLE, BATCH, BINARY = (
    "application/cloudevents+json",
    "application/cloudevents-batch+json",
    "application/json",
)
PROBLEM = "application/problem+json"
AT_ONCE = 2
"""Requests checked and stored side by side; the others wait, so that memory stays bounded [A]."""

STATUS = {"clinic.wrong": 403, "id.conflict": 409, "size.exceeded": 413}
TITLES = {
    400: "Not JSON",
    401: "No valid token",
    403: "Not this clinic's",
    404: "No such address",
    405: "Not with this method",
    408: "Too slow",
    409: "Id taken by another event",
    413: "Too large",
    415: "Content type not understood",
    422: "Event refused",
    503: "Not now",
    507: "No room",
}

log = structlog.get_logger("gateway.http")


class Problem(Exception):
    """An answer other than yes. `errors` name index, rule, path and detail of each event refused."""

    def __init__(
        self, status: int, rule: str, detail: str, errors: Sequence[Refusal] = (), path: str | None = None
    ) -> None:
        super().__init__(detail)
        self.status, self.rule, self.detail, self.errors, self.path = status, rule, detail, errors, path

    def response(self) -> Response:
        body: dict[str, Any] = {
            "type": f"urn:dermastream:gateway:{self.rule}",
            "title": TITLES.get(self.status, "Refused"),
            "status": self.status,
            "detail": self.detail,
            "rule": self.rule,
        }
        if self.path:
            body["path"] = self.path
        if self.errors:
            body["errors"] = [msgspec.to_builtins(error) for error in self.errors]
        headers = {401: {"www-authenticate": 'Bearer realm="dermastream gateway"'}, 503: {"retry-after": "5"}}
        return JSONResponse(body, self.status, headers.get(self.status), media_type=PROBLEM)


class Gateway:
    """What the answers are made from."""

    def __init__(
        self,
        settings: GatewaySettings,
        intake: Intake,
        outbox: Outbox,
        tokens: Tokens,
        forwarder: Forwarder | None,
        clock: Callable[[], datetime],
    ) -> None:
        self.settings, self.intake, self.outbox, self.tokens = settings, intake, outbox, tokens
        self.forwarder, self.clock = forwarder, clock
        self.refused: Counter[str] = Counter()
        """Refusals by rule since the start."""
        self.repeated = 0
        self.limiter = anyio.CapacityLimiter(AT_ONCE)

    async def take(self, request: Request) -> Response:
        """Authenticate, read, check and store one request."""
        clinic = self._clinic(request)
        values = self._split(request, media_type(request), await self._body(request))
        try:
            accepted = await anyio.to_thread.run_sync(
                lambda: self.intake.accept(values, clinic, self.clock()), limiter=self.limiter
            )
        except Refused as refused:
            raise _problem(refused.refusals) from None
        except OutboxFull as error:
            raise Problem(507, "disk.full", f"{error}: nothing was stored; send it again later") from None
        except OutboxUnavailable as error:
            raise Problem(503, "outbox.unavailable", str(error)) from None
        self.repeated += accepted.repeated
        return JSONResponse({"stored": accepted.stored, "repeated": accepted.repeated}, 202)

    def _clinic(self, request: Request) -> str:
        """The clinic whose token the request carries."""
        scheme, _, secret = request.headers.get("authorization", "").partition(" ")
        try:
            clinic = self.tokens.clinic_of(secret.strip()) if scheme.lower() == "bearer" else None
        except SettingsError as error:
            log.error("tokens unreadable", reason=str(error))
            raise Problem(503, "tokens.unreadable", "the gateway cannot read its tokens") from None
        if clinic is None:
            raise Problem(401, "token.invalid", "send `Authorization: Bearer <token>` with a valid token")
        if clinic not in self.intake.clinics:
            raise Problem(403, "clinic.unserved", "this gateway does not serve the token's clinic")
        return clinic

    async def _body(self, request: Request) -> bytes:
        """The whole body, bounded in bytes and time."""
        limit = self.settings.max_body_bytes
        if request.headers.get("content-encoding", "identity") != "identity":
            raise Problem(415, "content.encoding", "send the body as it is, not compressed")
        length = request.headers.get("content-length", "0")
        if length.isdigit() and int(length[:20]) > limit:
            raise Problem(413, "body.size", f"larger than {limit} bytes")
        body = bytearray()
        try:
            async with asyncio.timeout(self.settings.request_seconds):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > limit:
                        raise Problem(413, "body.size", f"larger than {limit} bytes")
        except TimeoutError:
            raise Problem(
                408, "body.slow", f"not in whole within {self.settings.request_seconds:g} s"
            ) from None
        except ClientDisconnect:
            raise Problem(400, "body.cut", "the connection ended within the body") from None
        return bytes(body)

    def _split(self, request: Request, kind: str, body: bytes) -> list[bytes]:
        """The single events of a request, each still as it was sent."""
        if kind == SINGLE:
            return [body]
        if kind == BATCH:
            return self._batch(body)
        return [_structured(request, body)]

    def _batch(self, body: bytes) -> list[bytes]:
        try:
            values = [bytes(value) for value in msgspec.json.decode(body, type=list[msgspec.Raw])]
        except msgspec.ValidationError:
            raise Problem(422, "batch.invalid", "a batch is a JSON array of events", path="$") from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Problem(400, "json.invalid", "the body is not JSON", path="$") from None
        if len(values) > self.settings.max_batch_events:
            limit = self.settings.max_batch_events
            raise Problem(413, "batch.size", f"more than {limit} events in one request", path="$")
        return values

    # ── looking ─────────────────────────────────────────────────────────────────────────────────────────

    def health(self) -> Response:
        """200 while events are taken in, broker or not; 503 when none can be."""
        try:
            state = self.outbox.state()
        except OutboxUnavailable as error:
            return Problem(503, "outbox.unavailable", str(error)).response()
        now, sending = self.clock(), self.forwarder
        full = is_full(state, self.settings)
        stopped = sending is not None and not sending.alive
        connected = sending is not None and sending.connected
        body = {
            "status": "failing" if full or stopped else "ok" if connected else "degraded",
            "accepts_events": not full,
            "broker": "connected" if connected else "stopped" if stopped else "unreachable",
            "broker_error": sending.last_error if sending else None,
            "last_sent_at": sending.last_sent_at.isoformat() if sending and sending.last_sent_at else None,
            "outbox_depth_events": state.depth,
            "oldest_event_age_seconds": state.waited_seconds(now),
            "outbox_bytes": state.stored_bytes,
            "disk_free_bytes": state.free_disk_bytes,
        }
        return JSONResponse(body, 503 if full or stopped else 200)


def create_app(gateway: Gateway) -> FastAPI:
    """The ASGI application: POST /events, GET /health, GET /metrics, GET /openapi.json."""
    app = FastAPI(
        title="dermastream gateway",
        version="1",
        description="Takes a clinic's events and forwards them; 202 means that they are on disk.",
        docs_url=None,
        redoc_url=None,
    )

    @app.post("/events", status_code=202, openapi_extra=_DESCRIPTION, summary="Give events")
    async def events(request: Request) -> Response:
        try:
            return await gateway.take(request)
        except Problem as problem:
            gateway.refused.update(error.rule for error in problem.errors)
            if not problem.errors:
                gateway.refused[problem.rule] += 1
            return problem.response()

    @app.get("/health", summary="Whether events are taken in and sent on")
    def health() -> Response:
        return gateway.health()

    @app.get("/metrics", summary="For Prometheus")
    def metrics() -> Response:
        try:
            state = gateway.outbox.state()
        except OutboxUnavailable as error:
            return Problem(503, "outbox.unavailable", str(error)).response()
        body, kind = exposition(state, gateway.forwarder, gateway.refused, gateway.repeated, gateway.clock())
        return Response(body, media_type=kind)

    @app.exception_handler(HTTPException)
    async def other(request: Request, error: HTTPException) -> Response:
        rule = {404: "address.unknown", 405: "method.wrong"}.get(error.status_code, "request.wrong")
        response = Problem(error.status_code, rule, str(error.detail)).response()
        response.headers.update(error.headers or {})
        return response

    return app


def media_type(request: Request) -> str:
    """The content type if it is one of the three modes. Raises Problem."""
    kind, *parameters = (part.strip().lower() for part in request.headers.get("content-type", "").split(";"))
    charsets = {p.partition("=")[2].strip('" ') for p in parameters if p.startswith("charset")}
    binary = any(name.startswith("ce-") for name in request.headers)
    known = kind in (SINGLE, BATCH) or (kind == BINARY and binary)
    if not known or not charsets <= {"utf-8"}:
        raise Problem(
            415,
            "content.type",
            f"content-type must be {SINGLE}, {BATCH}, or {BINARY} together with ce-* headers, in UTF-8",
        )
    return kind


def _structured(request: Request, body: bytes) -> bytes:
    """The structured form of an event in binary mode; CloudEvents' HTTP binding percent-encodes headers."""
    headers = [(name, unquote_to_bytes(value)) for name, value in request.headers.items()]
    try:
        return structured(body, headers, prefix="ce-")
    except ContractViolation as violation:
        detail = f"{violation.rule} at {violation.path}: {violation.detail}"
        raise Problem(status_of(violation.rule), violation.rule, detail, path=violation.path) from None


def _problem(refusals: Sequence[Refusal]) -> Problem:
    statuses = {status_of(refusal.rule) for refusal in refusals}
    status = statuses.pop() if len(statuses) == 1 else 403 if 403 in statuses else 422
    first = refusals[0]
    detail = f"{first.rule} at {first.path}: {first.detail}"
    if len(refusals) > 1:
        detail = f"{len(refusals)} events are refused, so none was stored; the first: {detail}"
    return Problem(status, first.rule, detail, refusals, first.path)


def status_of(rule: str) -> int:
    """The HTTP status for a rule of the contracts or of the gateway."""
    return 400 if rule.startswith("json.") else STATUS.get(rule, 422)


def is_full(state: OutboxState, settings: GatewaySettings) -> bool:
    """Whether an event, were it as large as events may be, would be refused now."""
    return (
        state.free_disk_bytes < settings.min_free_bytes
        or state.stored_bytes + MAX_EVENT_BYTES > settings.max_outbox_bytes
    )


_EVENT_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "required": ["specversion", "id", "source", "type", "time", "data"],
    "additionalProperties": False,
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$"},
        "source": {"type": "string", "pattern": "^/clinics/[a-z0-9][a-z0-9-]{0,31}(/[A-Za-z0-9._-]{1,32})*$"},
        "type": {"enum": sorted(EVENTS)},
        "time": {"type": "string", "format": "date-time"},
        "datacontenttype": {"const": BINARY},
        "supersedes": {"type": "string"},
        "data": {"type": "object"},
    },
}
_PROBLEM_CONTENT = {
    PROBLEM: {"schema": {"type": "object", "required": ["type", "title", "status", "detail"]}}
}
_DESCRIPTION: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            SINGLE: {"schema": _EVENT_SCHEMA},
            BATCH: {"schema": {"type": "array", "items": _EVENT_SCHEMA}},
            BINARY: {"schema": {"type": "object"}},
        },
    },
    "security": [{"token": []}],
    "responses": {
        str(status): {"description": title, "content": _PROBLEM_CONTENT} for status, title in TITLES.items()
    },
}
