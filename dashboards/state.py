"""The state of a page: all of it stands in the address, so that a link, a bookmark and the back button
agree."""

import re
import urllib.parse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace

from dashboards.language import LANGUAGES

PERIODS = {"13": "13 weeks", "26": "26 weeks", "52": "52 weeks"}
"""Lengths of what trends and lists reach back, up to the newest computed day."""
SKIN_TYPES = {"1": "I", "2": "II", "3": "III", "4": "IV", "5": "V", "6": "VI"}
"""Fitzpatrick skin types."""

KEPT = ("snapshot", "live", "lang")
"""What else goes along from page to page."""
FILTERS = ("weeks", "clinic", "protocol", "device", "skin")
"""What the filter bar sets; kept from page to page."""
SUBJECTS = ("by", "signal", "session", "operator", "lot", "cartridge", "relation", "address")
"""What single pages are about; not kept."""

_LONGEST = 100
_LONGEST_ADDRESS = 500


class UnknownState(ValueError):
    """An address that names no state of a page."""


@dataclass(frozen=True)
class State:
    """One page's state. `clinic` is a clinic_id, `network`, or null for the reader's default; `device` and
    `operator` are `<clinic_id>/<id>`. `by` is what the safety page groups by.
    `sort` is `<table>.<column>`. `live` is whether the page follows the
    warehouse. `snapshot` is the moment of an issued report, null for now. `lang` is the language, null for
    the reader's own. A null is not chosen."""

    path: str = "/"
    weeks: str = "52"
    clinic: str | None = None
    protocol: str | None = None
    device: str | None = None
    skin: str | None = None
    by: str = "operator"
    signal: str | None = None
    session: str | None = None
    operator: str | None = None
    lot: str | None = None
    cartridge: str | None = None
    relation: str | None = None
    address: str | None = None
    sort: str | None = None
    order: str = "asc"
    snapshot: str | None = None
    live: str = "on"
    lang: str | None = None

    @classmethod
    def parse(cls, path: str, pairs: Iterable[tuple[str, str]]) -> "State":
        """The state of those query parameters; unknown ones are ignored.

        Raises UnknownState for a parameter given twice or with a value it cannot have.
        """
        given: dict[str, str] = {}
        for name, value in pairs:
            if name not in _NAMES:
                continue
            if name in given:
                raise UnknownState(f"{name} is given twice")
            if name in _ALLOWED and value and value not in _ALLOWED[name]:
                raise UnknownState(f"{name} is none of {', '.join(_ALLOWED[name])}")
            longest = _LONGEST_ADDRESS if name == "address" else _LONGEST
            if len(value) > longest or (name == "sort" and value and not _SORT.fullmatch(value)):
                raise UnknownState(f"{name} is not a value it can have")
            if name == "snapshot" and value and not _SNAPSHOT.fullmatch(value):
                raise UnknownState("snapshot is not a number")
            given[name] = value
        return cls(path, **{name: value for name, value in given.items() if value})

    def url(self, path: str | None = None, **changes: str | None) -> str:
        """The address of this state with those changes; defaults are left out."""
        state = replace(self, **changes)  # type: ignore[arg-type]
        return (path or self.path) + state.query()

    def query(self) -> str:
        """`?…`, or nothing for the default state."""
        return _query({name: getattr(self, name) for name in _NAMES})

    def to(self, path: str, **changes: str | None) -> str:
        """The address of another page: the filters go along, what this page was about does not."""
        return path + _query({name: getattr(self, name) for name in (*FILTERS, *KEPT)} | changes)

    def sorted_by(self, table: str, column: str, now: tuple[str, str]) -> str:
        """Where a column's head leads: the table sorted by it, or turned round; `now` is how it is sorted."""
        turned = now == (column, "asc")
        return self.url(sort=f"{table}.{column}", order="desc" if turned else "asc")

    def sorting(self, table: str) -> tuple[str, str] | None:
        """(column, order) chosen for that table; null where none was."""
        name, _, column = (self.sort or "").partition(".")
        return (column, self.order) if name == table and column else None

    def hidden(self, shown: Iterable[str]) -> list[tuple[str, str]]:
        """What a filter form must carry beside the fields it shows."""
        shown = set(shown)
        return [
            (name, value)
            for name in _NAMES
            if name not in shown and (value := getattr(self, name)) != getattr(_DEFAULT, name)
        ]


def _query(values: Mapping[str, str | None]) -> str:
    """Names as a state has them, whatever the order given; made some thousand times a page."""
    given = {
        name: value for name in _NAMES if (value := values.get(name, _DEFAULTS[name])) != _DEFAULTS[name]
    }
    return "?" + urllib.parse.urlencode(given) if given else ""


_DEFAULT = State()
_NAMES = tuple(each.name for each in fields(State) if each.name != "path")
_DEFAULTS = {name: getattr(_DEFAULT, name) for name in _NAMES}
_SNAPSHOT = re.compile(r"[0-9]{1,15}")
_SORT = re.compile(r"[a-z_]{1,40}\.[a-z0-9_]{1,40}")
GROUPINGS = {
    "operator": "Operators",
    "device": "Devices",
    "protocol": "Protocols",
    "firmware": "Firmware",
    "cartridge_lot": "Cartridge lots",
    "skin_type": "Skin types",
}
"""What the safety page groups sessions by."""
_ALLOWED = {
    "by": tuple(GROUPINGS),
    "weeks": tuple(PERIODS),
    "skin": tuple(SKIN_TYPES),
    "order": ("asc", "desc"),
    "live": ("on", "off"),
    "lang": tuple(LANGUAGES),
}
