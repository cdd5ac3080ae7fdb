"""The door as one ASGI application: who may ask, what is written down, and how it is answered.

Every statement stands in the audit trail before it runs, without its values, with a keyed digest of its whole
text; when it has run, its rows, time and snapshot. What cannot be written down is not run.
"""

import asyncio
import datetime as dt
import hashlib
import hmac
import tempfile
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

from dashboards import accounts, patience, security
from dashboards.audit import Audit
from dashboards.door import tokens
from dashboards.door.pool import Pool, Refused, Unavailable
from dashboards.door.worker import FORMATS, Task
from dashboards.limits import Limits

LONGEST_STATEMENT_BYTES = 65_536
AT_ONCE = 2
"""Statements of one analyst at the same time; a third is refused [assumption]."""
PATIENCE_SECONDS = 10.0
"""How long a statement waits for a free child before the analyst is asked to come back [assumption]."""
BURST, PER_SECOND = 60.0, 2.0
"""Statements of an analyst: so many at once, then so many a second: notebooks ask in bursts [assumption]."""
FAILURES, FAILURES_PER_SECOND = 20.0, 0.2
"""Wrong tokens from one address that are written down each; beyond, it is told to wait [assumption]."""
_CHUNK = 1 << 20


@dataclass(frozen=True)
class DoorSettings:
    """What the door is told: the children's task and number, the accounts' file, the secret, whether TLS."""

    task: Task
    workers: int
    accounts: Path
    secret: Path
    https: bool

    @property
    def audit(self) -> Path:
        """The audit trail, that of the dashboard."""
        return self.accounts.with_name("audit.sqlite")


@dataclass(frozen=True)
class Question:
    """One statement, whose it is, from which address, and as what it shall be answered."""

    analyst: str
    address: str
    sql: str
    format: str


class Door:
    """Answers questions of known analysts."""

    def __init__(self, settings: DoorSettings, clock: Callable[[], dt.datetime]) -> None:
        self._settings = settings
        self._clock = clock
        self._audit = Audit(settings.audit)
        self._secret = accounts.read_secret(settings.secret)
        self._often = Limits(BURST, PER_SECOND)
        self._failures = Limits(FAILURES, FAILURES_PER_SECOND)
        self._asking: Counter[str] = Counter()
        self._lock = threading.Lock()
        self.pool = Pool(settings.task, settings.workers, PATIENCE_SECONDS)

    def analyst(self, authorization: str, address: str) -> str:
        """Whose token was given. Raises HTTPException: 401 for none that holds, 429 for too many."""
        scheme, _, secret = authorization.partition(" ")
        now = self._clock()
        name = tokens.analyst_of(self._settings.accounts, secret.strip(), now=now) if secret else None
        if scheme.lower() != "bearer" or name is None:
            if not self._failures.take(address, 1, now.timestamp()):
                raise HTTPException(429, "too many wrong tokens: come back later", {"Retry-After": "60"})
            self._note("denied", "query: no token that holds", "", address)
            raise HTTPException(401, "a token that holds, please", {"WWW-Authenticate": "Bearer"})
        if not self._often.take(name, 1, now.timestamp()):
            raise HTTPException(429, "too many statements: come back in a while", {"Retry-After": "5"})
        return name

    def answer(self, question: Question) -> Response:
        """Check, write down, run. Raises HTTPException: 422 where it is refused, 429 and 503 for later."""
        try:
            with self._place(question.analyst), self.pool.worker() as worker:
                digest = self._digest(question.sql)
                began = time.perf_counter()
                with self._refusing(question, digest):
                    said = worker.check(question.sql)
                    self._note("query", f"{digest} {said}", question.analyst, question.address)
                    out: BinaryIO = tempfile.TemporaryFile(dir=self._settings.accounts.parent)  # noqa: SIM115
                    done = worker.run(question.sql, question.format, out)
        except Unavailable as error:
            raise HTTPException(503, str(error), {"Retry-After": "5"}) from None
        took = time.perf_counter() - began
        what = f"{digest} answered: {done['rows']} rows of snapshot {done['snapshot']} in {took:.2f} s"
        self._note("query", what, question.analyst, question.address)
        return _response(out, question.format, done)

    @contextmanager
    def _place(self, analyst: str) -> Iterator[None]:
        """One of the few that an analyst has at a time."""
        with self._lock:
            if self._asking[analyst] >= AT_ONCE:
                raise HTTPException(429, f"{AT_ONCE} statements of yours are running", {"Retry-After": "5"})
            self._asking[analyst] += 1
        try:
            yield
        finally:
            with self._lock:
                self._asking[analyst] -= 1

    @contextmanager
    def _refusing(self, question: Question, digest: str) -> Iterator[None]:
        """That the child refuses is written down without its reason, which may quote values."""
        try:
            yield
        except Refused as error:
            self._note("query", f"{digest} not answered", question.analyst, question.address)
            raise HTTPException(422, str(error)) from None

    def _digest(self, sql: str) -> str:
        """Tells whether a statement one has is the one that was asked, and nothing to who has none."""
        return hmac.new(self._secret, b"query:" + sql.encode(), hashlib.sha256).hexdigest()[:16]

    def _note(self, action: str, what: str, analyst: str, address: str) -> None:
        role = tokens.ROLE if analyst else ""
        self._audit.append(action, what, at=self._clock(), account=analyst, role=role, address=address)


def create_app(settings: DoorSettings, clock: Callable[[], dt.datetime]) -> FastAPI:
    """The ASGI application. `clock` gives the current time in UTC."""
    door = Door(settings, clock)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(door.pool.close)

    async def query(request: Request) -> Response:
        address = request.client.host if request.client else ""
        analyst = await run_in_threadpool(door.analyst, request.headers.get("authorization", ""), address)
        format_ = _format(request.headers.get("accept", ""))
        question = Question(analyst, address, await _statement(request), format_)
        return await run_in_threadpool(door.answer, question)

    def healthz() -> Response:
        return JSONResponse({"status": "alive"})

    app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(security.Headers, https=settings.https)
    app.add_exception_handler(HTTPException, _one_line)  # type: ignore[arg-type]
    app.add_exception_handler(Exception, _failed)
    app.add_api_route("/query", query, methods=["POST"], response_model=None)
    app.add_api_route("/healthz", healthz, methods=["GET"], response_model=None)
    return app


def _format(accept: str) -> str:
    """The first wish that can be met. Raises HTTPException 406."""
    for wish in accept.split(",") if accept else ("*/*",):
        media = wish.split(";")[0].strip().lower()
        if media in ("*/*", "application/*"):
            return next(iter(FORMATS))
        if media in FORMATS:
            return media
    raise HTTPException(406, f"answers are {', '.join(FORMATS)}")


async def _statement(request: Request) -> str:
    """The body, which is SQL in UTF-8. Raises HTTPException: 413 for a long one, 408 for a slow one, 400 for
    one that is none."""
    body = b""
    try:
        async with asyncio.timeout(patience.BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > LONGEST_STATEMENT_BYTES:
                    raise HTTPException(413, f"a statement has at most {LONGEST_STATEMENT_BYTES} bytes")
    except TimeoutError:
        raise HTTPException(408, "the statement came too slowly", {"Connection": "close"}) from None
    try:
        sql = body.decode().strip().removesuffix(";")
    except ValueError:
        raise HTTPException(400, "a statement is text in UTF-8") from None
    if not sql or "\x00" in sql:
        raise HTTPException(400, "send one SELECT statement as the body")
    return sql


def _response(out: BinaryIO, format_: str, done: dict[str, int]) -> Response:
    """The file's contents; the file has no name and ends with the answer."""
    size = out.seek(0, 2)
    out.seek(0)

    def chunks() -> Iterator[bytes]:
        with out:
            while chunk := out.read(_CHUNK):
                yield chunk

    told = {f"Dermastream-{name.title()}": str(value) for name, value in done.items()}
    return StreamingResponse(chunks(), media_type=format_, headers={"Content-Length": str(size)} | told)


async def _one_line(_: Request, error: HTTPException) -> Response:
    line = " ".join(str(error.detail).split())
    return PlainTextResponse(f"{line}\n", error.status_code, error.headers)


async def _failed(_: Request, error: Exception) -> Response:
    return PlainTextResponse("the door failed: see its log\n", 500)
