"""Pages looked at lately, asked for anew by one background thread before open pages are told of new figures.

So whoever has a page open keeps the old figures until the new ones are there at once. The answers go where
those of any page go, `dashboards.queries.Memory`, under the reader's own scope.
"""

import datetime as dt
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

import structlog

MOST_PAGES = 24
"""Pages warmed at a time, those looked at last: fifty readers mostly have the same ones open [assumption]."""
LATELY = dt.timedelta(minutes=5)
MOST_SECONDS = 4.0
"""New figures wait no longer for that, but for the page that is being asked for then."""

_log = structlog.get_logger("dashboards")

Ask = Callable[[], None]
"""Asks for all that a page rests on."""


class Warmer:
    """Remembers what was looked at, and asks for it again."""

    def __init__(self, clock: Callable[[], dt.datetime]) -> None:
        self._clock = clock
        self._seen: OrderedDict[Hashable, tuple[Ask, dt.datetime]] = OrderedDict()
        self._lock = threading.Lock()

    def note(self, page: Hashable, ask: Ask) -> None:
        """That page was looked at now; the same page by the same readers is remembered once."""
        with self._lock:
            self._seen.pop(page, None)
            self._seen[page] = (ask, self._clock())
            while len(self._seen) > MOST_PAGES:
                self._seen.popitem(last=False)

    def warm(self) -> None:
        """Ask for the pages of late, the newest first, as long as there is time. A page that fails is left to
        its reader, who is told."""
        deadline = time.monotonic() + MOST_SECONDS
        with self._lock:
            seen = list(reversed(self._seen.values()))
        for ask, at in seen:
            if time.monotonic() > deadline or self._clock() - at > LATELY:
                break
            try:
                ask()
            except Exception as error:
                _log.warning("a page is not warmed", error=type(error).__name__)
