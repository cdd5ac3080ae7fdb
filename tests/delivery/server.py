"""A real SMTP server (aiosmtpd) with TLS and a login, whose faults are scripted; what it took is kept."""

import asyncio
import contextlib
import email
import email.policy
import logging
import random
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.gateway.secure_broker import certify

USER, PASSWORD = "reports", "correct horse battery"

FAULTS = (
    "down", "slow", "421 at greeting", "451 at recipient", "550 at recipient", "451 at data", "451 at end",
    "554 at end", "dropped before end", "taken then dropped", "dropped at end", "odd answer",
)  # fmt: skip
"""What can go wrong; `taken then dropped` keeps the message and closes the connection without an answer."""


@dataclass(frozen=True)
class Taken:
    """One message the server is answerable for."""

    delivery: str
    message_id: str
    recipient: str
    content: bytes


@dataclass
class Mailbox:
    """The server's behaviour and what it took. `next_fault` is asked once per message."""

    faults: dict[str, float] = field(default_factory=dict)
    dice: random.Random = field(default_factory=random.Random)
    taken: list[Taken] = field(default_factory=list)
    met: dict[str, int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next_fault(self) -> str:
        """The fault of the next message, by the weights; empty: none."""
        with self.lock:
            at = self.dice.random()
            for name, weight in self.faults.items():
                if at < weight:
                    self.met[name] = self.met.get(name, 0) + 1
                    return name
                at -= weight
        return ""

    # ── aiosmtpd's hooks ────────────────────────────────────────────────────────────────────────────────

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        session.fault = self.next_fault()
        envelope.mail_from = address
        if session.fault == "slow":
            await asyncio.sleep(0.05)
        if session.fault == "421 at greeting":
            return "421 too busy"
        return "250 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if session.fault in ("451 at recipient", "550 at recipient"):
            return session.fault[:3] + " no"
        if session.fault == "dropped before end":
            server.transport.abort()
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        fault = session.fault
        if fault == "slow":
            await asyncio.sleep(0.05)
        if fault in ("451 at end", "554 at end", "451 at data"):
            return fault[:3] + " no"
        if fault == "dropped at end":
            server.transport.abort()
            return "451 gone"
        self._take(envelope)
        if fault == "taken then dropped":
            server.transport.abort()
        return "odd" if fault == "odd answer" else "250 taken"

    def _take(self, envelope: Envelope) -> None:
        content = envelope.content
        assert isinstance(content, bytes)
        message = email.message_from_bytes(content, policy=email.policy.default)
        with self.lock:
            for recipient in envelope.rcpt_tos:
                told = (str(message["X-Dermastream-Delivery"]), str(message["Message-ID"]))
                self.taken.append(Taken(*told, recipient, content))


class _QuietController(Controller):
    """aiosmtpd's server; its own look whether it listens would count as a message."""

    def factory(self) -> SMTP:
        return SMTP(self.handler, **self.SMTP_kwargs)


@contextlib.contextmanager
def running(mailbox: Mailbox, folder: Path, *, port: int, security: str = "starttls") -> Iterator[Path]:
    """The server on that port; gives the file of the authority that signed its certificate."""
    keystore, authority = folder / "mail.pem", folder / "authority.pem"
    if not keystore.exists():
        certify(keystore, authority)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(keystore)

    def login(_: Any, __: Any, ___: Any, ____: Any, given: LoginPassword) -> AuthResult:
        right = (given.login, given.password) == (USER.encode(), PASSWORD.encode())
        return AuthResult(success=right, handled=False)

    options: dict[str, Any] = {"authenticator": login, "auth_required": True}
    if security == "tls":
        options |= {"ssl_context": context, "auth_require_tls": False}
    else:
        options |= {"tls_context": context, "require_starttls": True}
    logging.getLogger("mail.log").setLevel(logging.CRITICAL)  # faults are what we are here for
    controller = _QuietController(mailbox, hostname="127.0.0.1", port=port, **options)
    controller.start()
    try:
        yield authority
    finally:
        controller.stop()
