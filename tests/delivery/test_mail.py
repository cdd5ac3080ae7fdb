"""The message itself: its parts, its headers, the same bytes each time, the numbers of the report."""

import email
import email.policy
import re
from email.message import EmailMessage
from pathlib import Path

import pytest

from dashboards.report import ReportData, freeze, issue
from dashboards.report.render_mail import LONGEST, render_mail
from dashboards.report.render_text import render_text
from dashboards.report.view import words
from flows.delivery.mail import compose
from tests.delivery.conftest import NOW, Post
from tests.report import world
from tests.report.test_render import _Text, printed, squeezed
from warehouse.deliveries import Delivery, Key

pytestmark = pytest.mark.integration

DASHBOARD = "https://dash.example"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> ReportData:
    """The network's edition of the test's world."""
    connection, _ = world.fill(tmp_path_factory.mktemp("home"))
    found = freeze(connection, week=world.WEEK, clinic=None, computed_at=world.NOW, dashboard_url=DASHBOARD)
    connection.close()
    return found


def delivery(report: str) -> Delivery:
    key = Key("mail", "weekly", "2026-W46", "network", "noor", 1)
    return Delivery(key.id, key, f'{{"report": "{report}"}}', "planned", None, 0, NOW, None)


def message(data: ReportData, archive: Path, *, attach_pdf: bool = True) -> tuple[EmailMessage, bytes]:
    stem = issue(archive, data)[0].relative_to(archive).with_suffix("")
    made = compose(delivery(str(stem)), "n@d.example", "R <r@net.example>", archive, attach_pdf=attach_pdf)
    return email.message_from_bytes(made, policy=email.policy.default), made  # type: ignore[return-value]


def test_the_parts_are_in_their_order(data: ReportData, tmp_path: Path):
    """Text, then HTML with its pictures beside it, then the PDF; each picture is shown and each is there."""
    mail, _ = message(data, tmp_path)
    assert [part.get_content_type() for part in mail.walk()][:5] == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "multipart/related",
        "text/html",
    ]
    html = mail.get_body(("html",))
    assert html is not None
    shown = set(re.findall(r"cid:([\w-]+)", html.get_content()))
    pictures = [part for part in mail.walk() if part.get_content_type() == "image/png"]
    assert {str(part["Content-ID"]).strip("<>") for part in pictures} == shown
    assert all(part.get_content_disposition() == "inline" for part in pictures)
    (pdf,) = mail.iter_attachments()
    assert pdf.get_filename() == f"{data.report_id}.pdf"
    assert pdf.get_content().startswith(b"%PDF-")
    assert not [*message(data, tmp_path, attach_pdf=False)[0].iter_attachments()]


def test_the_headers_name_the_delivery(data: ReportData, tmp_path: Path):
    """Message-ID from the ledger's key, the time it was planned, and that a machine sent it."""
    mail, _ = message(data, tmp_path)
    assert mail["Message-ID"] == f"<{delivery('x').id}@net.example>"
    assert mail["Subject"] == "Weekly report 2026-W46, Whole network"
    assert mail["Date"].datetime == NOW
    assert (mail["Auto-Submitted"], mail["To"]) == ("auto-generated", "n@d.example")


def test_the_same_delivery_is_the_same_bytes(data: ReportData, tmp_path: Path):
    """A second attempt sends exactly what the first one did."""
    assert message(data, tmp_path)[1] == message(data, tmp_path)[1]


def test_every_number_of_the_mail_is_the_reports(data: ReportData, tmp_path: Path):
    """HTML has the words of the report, but for the table of weeks; the text part is its text."""
    mail, _ = message(data, tmp_path)
    html, text = mail.get_body(("html",)), mail.get_body(("plain",))
    assert html is not None
    assert text is not None
    page = _Text()
    page.feed(html.get_content())
    seen = squeezed("".join(page.parts))
    view = words(data)
    del view["title"], view["trend"]["rows"], view["trend"]["columns"]
    assert [each for each in map(squeezed, printed(view)) if each not in seen] == []
    assert text.get_content().replace("\r\n", "\n") == render_text(data).decode()


def test_the_html_is_short_and_asks_nobody(data: ReportData):
    """Under 100 KB, inline styles, pictures by cid only and with their text; no script, no style sheet."""
    page = render_mail(data).html
    assert len(page.encode()) < LONGEST
    assert not re.search(r"<script|<link|<style|<svg|url\(|src=\"(?!cid:)", page)
    assert set(re.findall(r'href="([^"?#]*)', page)) <= {
        *(f"{DASHBOARD}/{page}" for page in ("", "signals", "safety", "clinic", "protocols", "adherence")),
        f"{DASHBOARD}/reports/2026-W46/network/{data.report_id}.html",
    }
    assert page.count("<img ") == page.count(' alt="') == len(render_mail(data).images)


def test_a_note_is_a_mail_too(post: Post):
    """A short mail has text and HTML, and a line with a dot arrives whole."""
    post.plan()
    post.run()
    mail = email.message_from_bytes(post.mailbox.taken[0].content, policy=email.policy.default)
    body = mail.get_body(("plain",))  # type: ignore[attr-defined]
    assert ".A line with a dot." in body.get_content().splitlines()
    assert mail["Subject"] == "delayed 2026-W46"
