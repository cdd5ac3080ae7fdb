"""One message to one address over SMTP, split where its fate becomes uncertain.

Until the final dot is sent the server has nothing and may deliver nothing (RFC 5321, 4.1.1.4): a failure
before it is safe to repeat. After it only the server's answer tells; without one the outcome is unknown.
"""

import contextlib
import re
import smtplib
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from producers.contracts import Retryable, Terminal


@dataclass(frozen=True)
class MailServer:
    """Where mail is handed over. `security`: starttls, tls, or none (this machine only)."""

    host: str
    port: int
    security: str
    user: str | None
    password: str | None = field(repr=False)
    authority: Path | None
    timeout: float
    final_timeout: float
    """How long the server may take to answer the final dot: RFC 5321, 4.5.3.2.6 says ten minutes."""


class NotNow(Retryable):
    """It certainly did not arrive; it may later."""


class Refused(Terminal):
    """It did not arrive and will not. `address`: the server refuses the recipient, not the message."""

    def __init__(self, detail: str, *, address: bool = False) -> None:
        super().__init__(detail)
        self.address = address


class Unknown(Terminal):
    """It may have arrived, or not."""


def send(
    server: MailServer, message: bytes, *, sender: str, recipient: str, before_final: Callable[[], None]
) -> str:
    """Hand one message over; gives the server's answer.

    `before_final` is called when all but the final dot has been sent; what it raises stops the sending in
    time. Raises NotNow, Refused, Unknown.
    """
    with _connected(server) as smtp:
        _ask(smtp.mail(sender), "MAIL")
        _ask(smtp.rcpt(recipient), "RCPT", address=True)
        smtp.putcmd("data")
        _ask(smtp.getreply(), "DATA", wanted=354)
        smtp.send(dotted(message))
        before_final()
        if smtp.sock is not None:
            smtp.sock.settimeout(server.final_timeout)
        try:
            smtp.send(b".\r\n")
            code, text = smtp.getreply()
        except (OSError, smtplib.SMTPException) as error:
            raise Unknown(f"no answer to the end of the message: {type(error).__name__}") from error
        if not (200 <= code < 300 or 400 <= code < 600):
            raise Unknown(f"answer to the end of the message: {code}")
        answer = _ask((250 if code < 300 else code, text), "the message")
        with contextlib.suppress(OSError, smtplib.SMTPException):
            smtp.quit()
        return answer


def dotted(message: bytes) -> bytes:
    """Lines end in CRLF, and one that begins with a dot gets another: RFC 5321, 4.5.2."""
    lines = re.sub(rb"\r\n|\r|\n", b"\r\n", message)
    lines = re.sub(rb"(?m)^\.", b"..", lines)
    return lines if lines.endswith(b"\r\n") else lines + b"\r\n"


@contextlib.contextmanager
def _connected(server: MailServer) -> Iterator[smtplib.SMTP]:
    """A session, encrypted and logged in; closed without ceremony, so that nothing half sent is finished."""
    smtp: smtplib.SMTP | None = None
    try:
        context = ssl.create_default_context(cafile=str(server.authority) if server.authority else None)
        if server.security == "tls":
            smtp = smtplib.SMTP_SSL(server.host, server.port, timeout=server.timeout, context=context)
        else:
            smtp = smtplib.SMTP(server.host, server.port, timeout=server.timeout)
        if server.security == "starttls":
            smtp.starttls(context=context)
        smtp.ehlo_or_helo_if_needed()
        if server.user is not None:
            smtp.login(server.user, server.password or "")
        yield smtp
    except (OSError, smtplib.SMTPException) as error:
        raise NotNow(f"mail server {server.host}:{server.port}: {_said(error)}") from error
    finally:
        if smtp is not None:
            smtp.close()


def _ask(reply: tuple[int, bytes], what: str, *, wanted: int = 250, address: bool = False) -> str:
    """The server's answer as text. Raises NotNow for 4xx and what nobody expects, Refused for 5xx."""
    code, text = reply
    answer = f"{code} {text.decode(errors='replace')}"[:300]
    if code == wanted or (wanted == 250 and code == 251):
        return answer
    if 500 <= code < 600:
        raise Refused(f"{what}: {answer}", address=address)
    raise NotNow(f"{what}: {answer}")


def _said(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        reason = error.smtp_error
        return f"{error.smtp_code} {reason.decode(errors='replace') if isinstance(reason, bytes) else reason}"
    return f"{type(error).__name__}: {error}"
