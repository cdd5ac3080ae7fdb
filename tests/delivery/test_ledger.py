"""The send ledger: one row a key, one worker a row, no step back."""

import datetime as dt
import threading
from pathlib import Path

import pytest

from producers.contracts import CheckFailed, WarehouseUnavailable
from tests.delivery.conftest import NOW
from warehouse.deliveries import Delivery, Key, Ledger, LostClaim

pytestmark = pytest.mark.unit

KEY = Key("mail", "weekly", "2026-W46", "network", "noor", 1)
LEASE = dt.timedelta(minutes=1)
LATER = NOW + dt.timedelta(minutes=2)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    found = Ledger(tmp_path / "delivery.sqlite")
    found.plan(KEY, "{}", at=NOW)
    return found


def claim(ledger: Ledger, at: dt.datetime = NOW) -> Delivery:
    found = ledger.claim("w", ["mail"], at=at, lease=LEASE)
    assert found is not None
    return found


def test_the_same_is_planned_once(ledger: Ledger):
    """A second plan of the same key is no second delivery; another revision is."""
    assert not ledger.plan(KEY, '{"other": 1}', at=LATER)
    assert ledger.plan(Key(*[*KEY.__dict__.values()][:-1], 2), "{}", at=NOW)
    assert len(ledger.listed()) == 2


def test_many_at_once_plan_and_claim_one(tmp_path: Path):
    """Eight workers that plan and claim at the same moment make one row and one claim."""
    results, gate = [], threading.Barrier(8)

    def work() -> None:
        mine = Ledger(tmp_path / "delivery.sqlite")
        gate.wait()
        planned = mine.plan(KEY, "{}", at=NOW)
        results.append((planned, mine.claim("w", ["mail"], at=NOW, lease=LEASE) is not None))

    workers = [threading.Thread(target=work) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(results).count((True, False)) + sorted(results).count((True, True)) == 1
    assert sum(claimed for _, claimed in results) == 1


def test_a_claim_ends_with_its_lease(ledger: Ledger):
    """After the lease another worker may take it; the first can then hand nothing over."""
    first = claim(ledger)
    ledger.rendered(first, "d", at=NOW)
    assert ledger.claim("x", ["mail"], at=NOW, lease=LEASE) is None
    second = claim(ledger, LATER)
    with pytest.raises(LostClaim):
        ledger.hand_over(first, at=LATER)
    ledger.hand_over(second, at=LATER)


def test_a_slow_worker_hands_nothing_over_after_its_lease(ledger: Ledger):
    """Even where nobody else has taken it: somebody may be about to."""
    first = claim(ledger)
    ledger.rendered(first, "d", at=NOW)
    with pytest.raises(LostClaim):
        ledger.hand_over(first, at=LATER)


def test_handed_over_by_a_dead_worker_is_unknown_for_good(ledger: Ledger):
    """It is never claimed again; only a person moves it, with a reason."""
    first = claim(ledger)
    ledger.rendered(first, "d", at=NOW)
    ledger.hand_over(first, at=NOW)
    assert ledger.give_up_on_dead(at=NOW) == 0
    assert ledger.give_up_on_dead(at=LATER) == 1
    assert ledger.claim("x", ["mail"], at=LATER + 100 * LEASE, lease=LEASE) is None
    with pytest.raises(CheckFailed, match="say how you know"):
        ledger.resolve(first.id, arrived=False, by="dana", reason=" ", at=LATER)
    assert ledger.resolve(first.id, arrived=False, by="dana", reason="asked Mia", at=LATER) == "planned"
    again = claim(ledger, LATER)
    assert again.digest == "d"
    with pytest.raises(LostClaim):
        ledger.settle(first, "accepted", "250", at=LATER)


def test_an_answer_that_comes_late_still_counts(ledger: Ledger):
    """A worker that was only slow writes down what the server said, although the row was already unknown."""
    first = claim(ledger)
    ledger.rendered(first, "d", at=NOW)
    ledger.hand_over(first, at=NOW)
    ledger.give_up_on_dead(at=LATER)
    ledger.settle(first, "accepted", "250", at=LATER)
    assert ledger.listed()[0]["state"] == "accepted"


def test_other_bytes_are_refused(ledger: Ledger):
    """What was rendered once is what is sent: another digest is a bug, and named."""
    first = claim(ledger)
    ledger.rendered(first, "d", at=NOW)
    with pytest.raises(CheckFailed, match="rendered again it is not what it was"):
        ledger.rendered(claim(ledger, LATER), "e", at=LATER)


def test_every_step_is_kept(ledger: Ledger):
    """The history grows by one row a step, in order."""
    first = claim(ledger)
    ledger.rendered(first, "d", at=NOW)
    ledger.hand_over(first, at=NOW)
    ledger.settle(first, "accepted", "250 ok", at=NOW)
    _, steps = ledger.history(KEY.id[:6])
    assert [(step["number"], step["state"]) for step in steps] == [
        (1, "planned"),
        (2, "rendered"),
        (3, "handed over"),
        (4, "accepted"),
    ]


def test_a_ledger_we_cannot_open_is_named(tmp_path: Path):
    """A folder in the place of the file is one clear error."""
    (tmp_path / "delivery.sqlite").mkdir()
    with pytest.raises(WarehouseUnavailable, match="the send ledger"):
        Ledger(tmp_path / "delivery.sqlite")


def test_what_happens_after_a_restore_is_sent(ledger: Ledger):
    """Only what had happened before the restore may have been sent by the lost one; and a person may ask."""
    assert ledger.restored(NOW, at=LATER) == 1
    news = Key("mail", "signal", "s/2", "network", "noor", 1)
    asked = Key("mail", "resent", "2026-W46", "network", "noor", 1)
    old = Key("mail", "signal", "s/1", "network", "noor", 1)
    ledger.plan(news, "{}", at=LATER, about=LATER + dt.timedelta(seconds=1))
    ledger.plan(asked, "{}", at=LATER)
    ledger.plan(old, "{}", at=LATER, about=LATER)
    states = {row["id"]: row["state"] for row in ledger.listed()}
    assert states == {KEY.id: "unknown", news.id: "planned", asked.id: "planned", old.id: "unknown"}
    assert ledger.broken() == []
