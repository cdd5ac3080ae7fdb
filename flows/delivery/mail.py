"""The mail channel: from a delivery to the bytes of a message, the same bytes in every attempt.

report in the archive -> multipart/alternative (text, then HTML with its pictures), PDF attached where set
note (delayed, signal, digest) -> the same from a few paragraphs
"""

import datetime as dt
import email.message
import email.policy
import email.utils
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dashboards.report.model import ReportData
from dashboards.report.render_mail import MailPage, render_mail
from dashboards.report.render_note import Note, render_note
from dashboards.report.render_pdf import render_pdf
from dashboards.report.render_text import render_text
from flows.delivery import smtp
from flows.delivery.recipients import Policy
from producers.contracts import CheckFailed
from warehouse.deliveries import Delivery, Ledger


@dataclass(frozen=True)
class MailChannel:
    """Sends through one mail server as `sender`, what lies in `archive`, to whom `policy` allows."""

    server: smtp.MailServer
    sender: str
    archive: Path
    policy: Policy
    ledger: Ledger
    clock: Callable[[], dt.datetime]
    attach_pdf: bool

    def make(self, delivery: Delivery) -> bytes:
        """See Channel. Raises Withheld where the recipient may not have it (any more)."""
        recipient = self.policy.recipient(delivery, at=self.clock())
        return compose(delivery, recipient.address, self.sender, self.archive, attach_pdf=self.attach_pdf)

    def send(self, delivery: Delivery, made: bytes, before_final: Callable[[], None]) -> str:
        """See Channel. An address that the server refuses gets nothing more until a person has looked."""
        recipient = self.policy.recipient(delivery, at=self.clock())
        try:
            return smtp.send(
                self.server,
                made,
                sender=email.utils.parseaddr(self.sender)[1],
                recipient=recipient.address,
                before_final=before_final,
            )
        except smtp.Refused as error:
            if error.address:
                self.ledger.bounced(recipient.account, str(error))
            raise


def message_id(delivery_id: str, sender: str) -> str:
    """The Message-ID: the same for every attempt at one delivery."""
    domain = email.utils.parseaddr(sender)[1].rpartition("@")[2]
    return f"<{delivery_id}@{domain}>"


def compose(delivery: Delivery, address: str, sender: str, archive: Path, *, attach_pdf: bool) -> bytes:
    """The whole message; nothing in it depends on when or how often it is made. Raises CheckFailed."""
    content: Mapping[str, Any] = json.loads(delivery.content)
    data = _report(archive, content["report"]) if "report" in content else None
    if data is not None:
        page, text, title = render_mail(data), render_text(data).decode(), _subject(data)
    else:
        note = Note.of(content)
        page, text = render_note(note)
        title = note.subject
    mail = _message(page, text)
    if data is not None and attach_pdf:
        mail.add_attachment(
            render_pdf(data), maintype="application", subtype="pdf", filename=f"{data.report_id}.pdf"
        )
    mail["From"] = sender
    mail["To"] = address
    mail["Subject"] = f"[Test] {title}" if delivery.key.kind == "test" else title
    mail["Date"] = email.utils.format_datetime(delivery.planned_at)
    mail["Message-ID"] = message_id(delivery.id, sender)
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Dermastream-Delivery"] = delivery.id
    for number, part in enumerate(mail.walk()):
        if part.is_multipart():
            part.set_boundary(f"=_{delivery.id}_{number}")
    return mail.as_bytes(policy=email.policy.SMTP)


def _message(page: MailPage, text: str) -> email.message.EmailMessage:
    mail = email.message.EmailMessage(policy=email.policy.SMTP)
    mail.set_content(text, cte="quoted-printable")
    mail.add_alternative(page.html, subtype="html", cte="quoted-printable")
    parts = mail.get_payload()
    assert isinstance(parts, list)
    html = parts[1]
    assert isinstance(html, email.message.EmailMessage)
    for name, picture in page.images.items():
        html.add_related(
            picture, "image", "png", cid=f"<{name}>", filename=f"{name}.png", disposition="inline"
        )
    return mail


def _subject(data: ReportData) -> str:
    again = f" (revision {data.revision})" if data.revision > 1 else ""
    return f"Weekly report {data.week}, {data.scope_name}{again}"


def _report(archive: Path, name: str) -> ReportData:
    try:
        return ReportData.from_json((archive / f"{name}.json").read_bytes())
    except OSError as error:
        raise CheckFailed(f"report {name} is not in the archive: {error.strerror}") from None
