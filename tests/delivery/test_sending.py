"""What becomes of one message, whatever the mail server does."""

import datetime as dt
from pathlib import Path

import pytest

from flows.delivery import smtp
from flows.delivery.sender import FIRST_WAIT, GIVE_UP_AFTER
from flows.stack import ports
from tests.delivery import worker
from tests.delivery.conftest import Post
from tests.delivery.server import PASSWORD, USER, Mailbox, running
from warehouse.deliveries import Recipient

pytestmark = pytest.mark.integration


def test_a_message_arrives_once_with_the_servers_answer_booked(post: Post):
    """Over STARTTLS with a login; a second run and a second plan send nothing more."""
    key = post.plan()
    assert post.run().accepted == 1
    assert (post.state(key), post.detail(key)) == ("accepted", "250 taken")
    post.plan()
    assert post.run().accepted == 0
    (message,) = post.mailbox.taken
    assert (message.recipient, message.message_id) == (
        f"mia@{worker.DOMAIN}",
        f"<{key.id}@network.example>",
    )


@pytest.mark.parametrize(
    ("fault", "state", "arrived"),
    [
        ("slow", "accepted", 1),
        ("421 at greeting", "planned", 0),
        ("451 at recipient", "planned", 0),
        ("451 at data", "planned", 0),
        ("451 at end", "planned", 0),
        ("dropped before end", "planned", 0),
        ("550 at recipient", "failed", 0),
        ("554 at end", "failed", 0),
        ("taken then dropped", "unknown", 1),
        ("dropped at end", "unknown", 0),
        ("odd answer", "unknown", 1),
    ],
)
def test_each_fault_has_its_outcome(post: Post, fault: str, state: str, arrived: int):
    """What certainly did not arrive is tried again or failed; what may have arrived is unknown, and stays."""
    post.mailbox.faults = {fault: 1.0}
    key = post.plan()
    post.run()
    assert (post.state(key), len(post.mailbox.taken)) == (state, arrived)
    post.mailbox.faults = {}
    post.now += dt.timedelta(hours=2)
    post.run()
    again = {"planned": ("accepted", 1)}.get(state, (state, arrived))
    assert (post.state(key), len(post.mailbox.taken)) == again


def test_a_server_that_is_down_is_tried_later_and_then_given_up(post: Post):
    """The wait doubles from a minute to an hour; after two days it fails, which a person can see."""
    post.port = ports.any_free()
    key = post.plan()
    assert post.run().put_off == 1
    row, _ = post.ledger.history(key.id)
    assert row["not_before"] == (post.now + FIRST_WAIT).timestamp()
    assert post.run().put_off == 0
    post.now += FIRST_WAIT
    post.run()
    assert post.ledger.history(key.id)[0]["not_before"] == (post.now + 2 * FIRST_WAIT).timestamp()
    post.now += GIVE_UP_AFTER
    post.run()
    assert post.state(key) == "failed"
    assert "given up after 2 days" in post.detail(key)


def test_a_refused_address_gets_nothing_more(post: Post):
    """After a refusal of the address itself the next report is withheld until a person has looked."""
    post.mailbox.faults = {"550 at recipient": 1.0}
    post.plan()
    post.run()
    post.mailbox.faults = {}
    later = post.plan(period="2026-W47")
    post.run()
    assert post.state(later) == "withheld"
    assert "the address was refused" in post.detail(later)
    post.ledger.remember(Recipient("mia", f"mia@{worker.DOMAIN}"))
    third = post.plan(period="2026-W48")
    post.run()
    assert post.state(third) == "accepted"


def test_a_certificate_we_do_not_know_is_no_server(post: Post, tmp_path: Path):
    """Without the authority the hand-shake fails before anything is said: tried again later."""
    (tmp_path / "authority.pem").write_text("")
    key = post.plan()
    post.run()
    assert post.state(key) == "planned"
    assert post.mailbox.taken == []


def test_tls_from_the_first_byte(post: Post, certificate: Path):
    """A server that speaks TLS at once (port 465) is served too."""
    mailbox, port = Mailbox(), ports.any_free()
    with running(mailbox, certificate, port=port, security="tls") as authority:
        server = smtp.MailServer("127.0.0.1", port, "tls", USER, PASSWORD, authority, 5, 5)
        answer = smtp.send(
            server,
            b"Subject: x\r\n\r\nx",
            sender="a@b.example",
            recipient="c@d.example",
            before_final=lambda: None,
        )
    assert answer == "250 taken"


def test_a_wrong_password_is_no_bounce(post: Post):
    """A refused login is our setting, not the recipient's address: put off, and said."""
    channel = post.channel
    wrong = smtp.MailServer(**{**channel.server.__dict__, "password": "wrong"})
    with pytest.raises(smtp.NotNow, match="535"):
        smtp.send(wrong, b"x", sender="a@b", recipient="c@d", before_final=lambda: None)


def test_lines_with_dots_arrive_as_they_were():
    """A line that begins with a dot gets another, and every line ends in CRLF."""
    assert smtp.dotted(b".a\nb\r\n..c") == b"..a\r\nb\r\n...c\r\n"


def test_who_was_removed_in_between_gets_nothing(post: Post):
    """The rules are asked again right before sending: account, scope, domain and pause."""
    from dashboards.accounts import remove_user

    wrong_clinic = post.plan(scope="clinic-south")
    post.ledger.remember(Recipient("noor", "noor@elsewhere.example"))
    foreign = post.plan("noor", scope="network")
    post.run()
    assert post.detail(wrong_clinic) == "mia may not see clinic-south"
    assert post.detail(foreign) == "elsewhere.example is not in DERMASTREAM_MAIL_DOMAINS"
    post.ledger.remember(
        Recipient("mia", f"mia@{worker.DOMAIN}", paused_until=post.now + dt.timedelta(days=1))
    )
    paused = post.plan(period="2026-W47")
    post.run()
    assert post.detail(paused).startswith("mia has paused mail until")
    gone = post.plan(period="2026-W48")
    remove_user(post.home / "accounts.sqlite", "mia")
    post.run()
    assert post.detail(gone) == "mia has no account"
    assert {post.state(key) for key in (wrong_clinic, foreign, paused, gone)} == {"withheld"}
    assert post.mailbox.taken == []


def test_one_that_cannot_be_made_does_not_stop_the_rest(post: Post):
    """A report missing from the archive fails by itself; the others are sent."""
    missing = post.plan(report="2026-W46/nothing", kind="weekly")
    other = post.plan()
    post.run()
    assert (post.state(missing), post.state(other)) == ("failed", "accepted")
    assert "is not in the archive" in post.detail(missing)
