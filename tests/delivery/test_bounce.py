"""Bounces as mail servers write them (RFC 3464), booked where they belong or refused."""

from pathlib import Path

import pytest

from flows.delivery.bounce import read
from producers.contracts import CheckFailed, SettingsError
from tests.delivery.conftest import NOW, Run
from tests.delivery.server import Mailbox
from tests.delivery.test_commands import made
from tests.report import world
from warehouse import store
from warehouse.deliveries import FILE, Key, Ledger

SENT = "0123456789abcdef01234567"

POSTFIX = """\
Return-Path: <>
From: MAILER-DAEMON@mx.d.example (Mail Delivery System)
Subject: Undelivered Mail Returned to Sender
To: r@net.example
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
\tboundary="7F1C2.1795000000/mx.d.example"
Message-Id: <20261116070103.7F1C2@mx.d.example>

--7F1C2.1795000000/mx.d.example
Content-Description: Notification
Content-Type: text/plain; charset=us-ascii

This is the mail system at host mx.d.example.

--7F1C2.1795000000/mx.d.example
Content-Description: Delivery report
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.d.example
X-Postfix-Queue-ID: 7F1C2
Arrival-Date: Mon, 16 Nov 2026 07:01:03 +0000 (UTC)

Final-Recipient: rfc822; noor@d.example
Original-Recipient: rfc822;noor@d.example
Action: failed
Status: 5.1.1
Remote-MTA: dns; store.d.example
Diagnostic-Code: smtp; 550 5.1.1 <noor@d.example>: Recipient address rejected:
    User unknown in virtual mailbox table

--7F1C2.1795000000/mx.d.example
Content-Description: Undelivered Message
Content-Type: message/rfc822

From: Reports <r@net.example>
To: noor@d.example
Subject: Weekly report 2026-W46, Whole network
Message-ID: <{delivery}@net.example>
Auto-Submitted: auto-generated

The report.

--7F1C2.1795000000/mx.d.example--
"""

EXCHANGE = """\
From: "Postmaster" <postmaster@d.example>
To: r@net.example
Subject: Undeliverable: Weekly report 2026-W46, Whole network
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b1_x"

--b1_x
Content-Type: multipart/alternative; boundary="b2_x"

--b2_x
Content-Type: text/plain; charset="utf-8"
Content-Transfer-Encoding: quoted-printable

The recipient's mailbox is full.

--b2_x--
--b1_x
Content-Type: message/delivery-status

Reporting-MTA: dns;mail1.d.example

Final-recipient: RFC822;noor@d.example
Action: Failed
Status: 5.2.2 (mailbox full)
Diagnostic-code: smtp;552 5.2.2 STOREDRV.Deliver; mailbox full

--b1_x
Content-Type: text/rfc822-headers

From: Reports <r@net.example>
To: noor@d.example
Message-ID:
 <{delivery}@net.example>

--b1_x--
"""

LATE = POSTFIX.replace("Action: failed", "Action: delayed").replace("Status: 5.1.1", "Status: 4.4.1")


@pytest.mark.unit
def test_the_delivery_the_status_and_the_words_are_read():
    """Whether the message came back or its headers alone; whatever case or folding the server likes."""
    found = read(POSTFIX.format(delivery=SENT).encode())
    assert (found.delivery, found.address) == (SENT, True)
    words = "550 5.1.1 <noor@d.example>: Recipient address rejected: User unknown in virtual mailbox table"
    assert found.detail == f"bounced 5.1.1: {words}"
    found = read(EXCHANGE.format(delivery=SENT).replace("\n", "\r\n").encode())
    assert (found.delivery, found.address) == (SENT, False)
    assert found.detail == "bounced 5.2.2: 552 5.2.2 STOREDRV.Deliver; mailbox full"


@pytest.mark.unit
@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("From: a@b.example\n\nNobody here.\n", "no bounce: it has no message/delivery-status part"),
        (LATE.format(delivery=SENT), "the mail server says delayed, not failed: there is nothing to book"),
        (POSTFIX.format(delivery="a-letter-of-somebody"), "has no Message-ID of ours"),
        (POSTFIX.format(delivery=f"x{SENT}"), "has no Message-ID of ours"),
        (
            POSTFIX.partition("Content-Description: Undelivered")[0],
            "Message-ID of ours",
        ),
        ("", "no bounce"),
    ],
    ids=["a letter", "only late", "somebody else's", "nearly ours", "nothing came back", "an empty file"],
)
def test_what_is_no_bounce_of_ours_is_refused(message: str, said: str):
    """One line says what it is instead."""
    with pytest.raises(CheckFailed, match=said):
        read(message.encode())


@pytest.fixture
def lake(tmp_path: Path) -> store.Location:
    """A warehouse of the test's own."""
    connection, location = world.fill(tmp_path)
    connection.close()
    return location


@pytest.mark.integration
def test_a_bounce_ends_its_delivery_and_the_address(run: Run, mailbox: Mailbox, tmp_path: Path):
    """Accepted by the server, then back: failed with its status, booked once, and the address gets nothing
    more until it is added anew."""
    run("recipients", "add", "noor", "noor@d.example")
    name = made(run)
    assert run("send", name, "--json")["accepted"] == 1
    letter = tmp_path / "bounce.eml"
    delivery = mailbox.taken[0].message_id.strip("<>").partition("@")[0]
    letter.write_text(POSTFIX.format(delivery=delivery))
    assert f"{delivery}  failed  bounced 5.1.1: 550 5.1.1" in run("bounce", str(letter))
    (row,) = run("deliveries", "--json")
    assert (row["id"], row["state"]) == (delivery, "failed")
    assert row["detail"].startswith("bounced 5.1.1")
    assert run("bounce", str(letter)) == f"{delivery} is booked already\n"
    assert "refused: bounced 5.1.1" in run("recipients", "list")
    run("resend", name, "--to", "noor", "--reason", "again", "--by", "dana")
    assert len(mailbox.taken) == 1
    run("recipients", "add", "noor", "noor@d.example")
    run("resend", name, "--to", "noor", "--reason", "mended", "--by", "dana")
    assert len(mailbox.taken) == 2
    full = mailbox.taken[1].message_id.strip("<>").partition("@")[0]
    letter.write_text(EXCHANGE.format(delivery=full))
    run("bounce", str(letter))
    assert "refused" not in run("recipients", "list")
    assert Ledger(tmp_path / FILE).broken() == []


@pytest.mark.integration
def test_a_bounce_of_nothing_we_sent_is_refused(run: Run, tmp_path: Path):
    """A Message-ID that only looks like ours, one never sent, and a file that is not there: one line each."""
    letter = tmp_path / "bounce.eml"
    letter.write_text(POSTFIX.format(delivery=SENT))
    with pytest.raises(CheckFailed, match=rf"bounce\.eml: delivery {SENT}: no such delivery"):
        run("bounce", str(letter))
    key = Key("mail", "signal", "s/1", "network", "noor", 1)
    Ledger(tmp_path / FILE).plan(key, "{}", at=NOW)
    letter.write_text(POSTFIX.format(delivery=key.id))
    with pytest.raises(CheckFailed, match=rf"delivery {key.id} is planned: it cannot have come back"):
        run("bounce", str(letter))
    with pytest.raises(SettingsError, match=r"nowhere\.eml: No such file"):
        run("bounce", str(tmp_path / "nowhere.eml"))
