"""Telling open pages that the warehouse has moved: one watcher, many listeners, only the newest state kept.

A slow listener skips states instead of queueing them, so memory does not grow with silence.
"""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass

import anyio.to_thread

from dashboards.language import current
from dashboards.queries import EVERY_CLINIC, Reader, Row

LOOK_EVERY_SECONDS = 2.0
HEARTBEAT_SECONDS = 5.0
MOST_LISTENERS = 200


@dataclass(frozen=True)
class State:
    """`freshness` is the rendered line by language, `metrics` names the newest computation (empty before the
    first)."""

    freshness: Mapping[str, str]
    metrics: str


def revision(row: Row | None) -> str:
    """What changes whenever metrics were computed anew; empty before the first time."""
    at = row["newest_metric_at"] if row else None
    return f"{at.timestamp():.6f}" if at else ""


class Live:
    """The watcher of one app. `render` turns freshness (null: no warehouse) and now into the line, in every
    language. `warm` is called when there are new figures, before anybody is told."""

    def __init__(
        self,
        reader: Reader,
        render: Callable[[Row | None, dt.datetime], Mapping[str, str]],
        clock: Callable[[], dt.datetime],
        warm: Callable[[], None],
    ) -> None:
        self._warm = warm
        self._reader = reader
        self._render = render
        self._clock = clock
        self._state: State | None = None
        self._changed = asyncio.Condition()
        self._closing = asyncio.Event()
        self.listeners = 0

    async def watch(self) -> None:
        """Look for news until closed. A warehouse that cannot be read is looked at again, not given up on."""
        snapshot: int | None = None
        row: Row | None = None
        while not self._closing.is_set():
            snapshot, row = await anyio.to_thread.run_sync(self._look, snapshot, row)
            state = State(self._render(row, self._clock()), revision(row))
            if self._state is not None and state.metrics not in ("", self._state.metrics):
                await anyio.to_thread.run_sync(self._warm)
            if state != self._state:
                async with self._changed:
                    self._state = state
                    self._changed.notify_all()
            await _within(self._closing.wait(), LOOK_EVERY_SECONDS)

    def close(self) -> None:
        """End every stream. Call it on the loop."""
        self._closing.set()

    async def messages(self, seen_metrics: str, still_allowed: Callable[[], bool]) -> AsyncIterator[str]:
        """Server-sent events for one page that was rendered at `seen_metrics`, in the language of the asker.

        Unnamed: the freshness line. `metrics`: fetch the numbers again. Ends when closed or, after a last
        `metrics` that leads the page to the login, when the reader may no longer read.
        """
        self.listeners += 1
        try:
            line, spoken = "", current()
            while not self._closing.is_set():
                if not await anyio.to_thread.run_sync(still_allowed):
                    yield _event("ended", "metrics")
                    return
                state = self._state
                if state is not None and state.metrics != seen_metrics:
                    seen_metrics = state.metrics
                    yield _event(seen_metrics, "metrics")
                if state is not None and state.freshness[spoken] != line:
                    line = state.freshness[spoken]
                    yield _event(line)
                if not await self._news(state):
                    yield ": still here\n\n"
        finally:
            self.listeners -= 1

    def _look(self, snapshot: int | None, row: Row | None) -> tuple[int | None, Row | None]:
        try:
            newest = self._reader.snapshot_id()
            if newest == snapshot:
                return snapshot, row
            with self._reader.queries(EVERY_CLINIC) as queries:
                return newest, queries.freshness()
        except Exception:  # DuckDB's errors are the store's own: any of them means "not readable now"
            return None, row

    async def _news(self, seen: State | None) -> bool:
        """Wait until the state is another one or we close; False after a heartbeat's time."""

        async def waiting() -> None:
            async with self._changed:
                await self._changed.wait_for(lambda: self._state != seen)

        news = asyncio.ensure_future(waiting())
        closing = asyncio.ensure_future(self._closing.wait())
        try:
            done, _ = await asyncio.wait(
                (news, closing), timeout=HEARTBEAT_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            for task in (news, closing):
                task.cancel()
        return bool(done)


async def _within(awaitable: object, seconds: float) -> None:
    try:
        await asyncio.wait_for(awaitable, seconds)  # type: ignore[arg-type]
    except TimeoutError:
        return


def _event(data: str, name: str = "") -> str:
    lines = [f"event: {name}"] if name else []
    lines += [f"data: {line}" for line in data.splitlines()]
    return "\n".join(lines) + "\n\n"
