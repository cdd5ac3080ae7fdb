"""New figures are asked for once, before the open pages are told of them."""

import datetime as dt
from typing import Any

import anyio
import pytest

from dashboards.live import Live
from dashboards.queries import FOLLOW_REFRESH, Queries
from dashboards.warming import LATELY, MOST_PAGES, Warmer
from tests.dashboards.conftest import AS_OF, Lake, incidence, login

NOW = dt.datetime(2026, 3, 2, tzinfo=dt.UTC)


@pytest.mark.unit
def test_pages_of_late_are_asked_for_newest_first():
    """Each once, whoever looks at it how often; not those of long ago, nor more than so many."""
    now, asked = [NOW], []
    warmer = Warmer(lambda: now[0])
    warmer.note("old", lambda: asked.append("old"))
    now[0] += LATELY + dt.timedelta(seconds=1)
    for name in ("a", "b", "a"):
        warmer.note(name, lambda name=name: asked.append(name))
    warmer.warm()
    assert asked == ["a", "b"]
    for number in range(MOST_PAGES + 5):
        warmer.note(number, lambda number=number: asked.append(number))
    asked.clear()
    warmer.warm()
    assert asked == [*reversed(range(5, MOST_PAGES + 5))]


@pytest.mark.unit
def test_a_page_that_fails_holds_up_no_other():
    """Its reader is told when they ask."""
    asked: list[str] = []
    warmer = Warmer(lambda: NOW)
    warmer.note("good", lambda: asked.append("good"))
    warmer.note("bad", lambda: 1 / 0)
    warmer.warm()
    assert asked == ["good"]


@pytest.mark.integration
def test_open_pages_are_told_when_the_new_figures_are_there(
    lake: Lake, client: Any, monkeypatch: pytest.MonkeyPatch
):
    """After a publication the pages looked at are asked for by the watcher alone; the next look finds every
    answer of the marts, and the new figure."""
    pages = ("/", "/clinic?clinic=clinic-north", "/safety")
    assert login(client, "manager").status_code == 303
    for page in pages:
        assert client.get(page).status_code == 200
    live: Live = client.app.state.live
    asked: list[str] = []
    ask = Queries._ask
    monkeypatch.setattr(
        Queries, "_ask", lambda self, name, given: asked.append(name) or ask(self, name, given)
    )
    said: list[tuple[str, list[str]]] = []

    async def told() -> None:
        async with live._changed:
            await live._changed.wait_for(lambda: live._state and live._state.metrics != before)
            said.append((live._state.metrics, list(asked)))

    before = live._state.metrics if live._state else ""
    newer = AS_OF + dt.timedelta(days=1)
    lake.insert(
        "mart.metric_result",
        incidence("clinic", "clinic-north", 77, 1387) | {"as_of": newer, "computed_at": newer},
    )
    client.portal.call(_within, told)
    assert {"result", "device"} <= set(said[0][1])
    asked.clear()
    for page in pages:
        assert client.get(page).status_code == 200
    assert FOLLOW_REFRESH.isdisjoint(asked)
    assert "77" in client.get(pages[1]).text


async def _within(work: Any) -> None:
    with anyio.fail_after(20):
        await work()
