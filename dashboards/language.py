"""The language and the clock of the answer being made: words, numbers, dates and times.

English is what the code says. Another language is a gettext catalog, `locales/<language>.po`, looked up by
the English words. Fixed words are looked up where they are shown (templates, charts), sentences with values
in them where they are made: `say("up to {day}", day=…)`. Files for machines are always in English and UTC.
"""

import datetime as dt
import functools
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from babel import Locale, dates
from babel.messages.pofile import read_po

_LOCALES = Path(__file__).parent / "locales"
_LONGEST_ZONE = 5
"""Letters of a zone's short name: where Babel knows none it tells the country."""


@dataclass(frozen=True)
class Language:
    """`date` is a day in digits, as strftime writes it; the rest comes from Babel's locale."""

    name: str
    locale: Locale
    date: str


ENGLISH = "en"
LANGUAGES = {
    ENGLISH: Language("English", Locale("en", "GB"), "%Y-%m-%d"),
    "de": Language("Deutsch", Locale("de", "DE"), "%d.%m.%Y"),
}
"""By the name that stands in addresses and in `<html lang>`."""


@dataclass(frozen=True)
class Speech:
    """`zone` is an IANA time zone."""

    language: str = ENGLISH
    zone: str = "UTC"


MACHINES = Speech()
"""What files are made in: points for decimals, UTC."""

_SPEECH = ContextVar("speech", default=MACHINES)


def current() -> str:
    """The language of this answer."""
    return _SPEECH.get().language


@contextmanager
def speaking(language: str | None = None, zone: str | None = None) -> Iterator[None]:
    """Everything said inside is said so; null leaves it as it is. An unknown zone is UTC."""
    now = _SPEECH.get()
    token = _SPEECH.set(Speech(language or now.language, zone or now.zone))
    try:
        yield
    finally:
        _SPEECH.reset(token)


# ── words ───────────────────────────────────────────────────────────────────────────────────────────────

Catalog = Mapping[str, tuple[str, ...]]
"""What the English says in another language: one form, or the singular and the plural."""


@functools.cache
def catalog(language: str) -> Catalog:
    """All there is of that language; nothing for English."""
    if language == ENGLISH:
        return {}
    with (_LOCALES / f"{language}.po").open("rb") as file:
        read = read_po(file, abort_invalid=True)
    forms = {_forms(each.id)[0]: _forms(each.string) for each in read if each.id}
    return {english: said for english, said in forms.items() if all(said)}


def _forms(said: str | Iterable[str] | None) -> tuple[str, ...]:
    return (said or "",) if isinstance(said, str) or said is None else tuple(said)


def say(english: str, **values: Any) -> str:
    """Those words in the language of this answer, with the values put in; names of data stay as they are."""
    said = catalog(current()).get(english)
    words = said[0] if said else english
    return words.format(**values) if values else words


def known(english: str) -> bool:
    """Whether `say` has those words in the language of this answer."""
    return current() == ENGLISH or english in catalog(current())


def plural(one: str, many: str, number: float, **values: Any) -> str:
    """`one` for 1 and `many` for any other number, which is `{n}` in both."""
    forms = catalog(current()).get(one, (one, many))
    return forms[number != 1].format(n=count(number), **values)


# ── numbers ─────────────────────────────────────────────────────────────────────────────────────────────


def count(value: float) -> str:
    return number(value, 0)


def number(value: float, decimals: int, *, sign: bool = False) -> str:
    """`1,234.5` in English, `1.234,5` in German; never `-0`."""
    text = f"{value:{'+' if sign else ''},.{decimals}f}"
    if not any(digit in text for digit in "123456789"):
        text = text.lstrip("-")
    return text.translate(_symbols(current()))


def short(value: float) -> str:
    """Two digits that count."""
    return f"{value:.2g}".translate(_symbols(current()))


def percent(share: float, decimals: int = 0) -> str:
    """`12.3%` in English, `12,3 %` in German."""
    return number(100 * share, decimals) + percent_sign()


def percent_sign() -> str:
    """The sign with the space that the language puts before it."""
    return _percent_sign(current())


@functools.cache
def _percent_sign(language: str) -> str:
    return LANGUAGES[language].locale.percent_formats[None].pattern.lstrip("#,0")


@functools.cache
def _symbols(language: str) -> dict[int, str]:
    symbols = LANGUAGES[language].locale.number_symbols["latn"]
    return str.maketrans({",": symbols["group"], ".": symbols["decimal"]})


# ── dates and times ─────────────────────────────────────────────────────────────────────────────────────


def date(on: dt.date) -> str:
    """A day in digits."""
    return on.strftime(LANGUAGES[current()].date)


def moment(at: dt.datetime) -> str:
    """A time to the minute by the clock of this answer, which is named."""
    speech = _SPEECH.get()
    local = at.astimezone(_zone(speech.zone))
    form = f"{LANGUAGES[speech.language].date} %H:%M"
    return f"{local.strftime(form)} {_zone_name(local, speech)}"


def day(on: dt.date) -> str:
    """`2 March 2026`, `2. März 2026`."""
    return dates.format_date(on, "long", locale=LANGUAGES[current()].locale)


def day_of_year(on: dt.date) -> str:
    """`2 Mar`, `2. März`."""
    return dates.format_skeleton("MMMd", on, locale=LANGUAGES[current()].locale)


@functools.cache
def _zone(name: str) -> dt.tzinfo:
    try:
        return dates.get_timezone(name)
    except LookupError:
        return dt.UTC


def _zone_name(local: dt.datetime, speech: Speech) -> str:
    name = local.tzname() or "UTC"
    return _zone_said(speech.language, speech.zone, name, bool(local.dst()))


@functools.cache
def _zone_said(language: str, zone: str, name: str, summer: bool) -> str:
    """`CET`, in German `MEZ`; `UTC+04` where a zone has no name but its distance."""
    if name[0] in "+-":
        return f"UTC{name}"
    if language == ENGLISH or name == "UTC":
        return name
    said = dates.get_timezone_name(
        _zone(zone),
        "short",
        locale=LANGUAGES[language].locale,
        zone_variant="daylight" if summer else "standard",
    )
    return said if len(said) <= _LONGEST_ZONE else name


# ── charts ──────────────────────────────────────────────────────────────────────────────────────────────


@functools.cache
def chart_locale(language: str) -> dict[str, dict[str, Any]]:
    """Numbers and dates for Vega: `formatLocale` and `timeFormatLocale` as d3 wants them."""
    locale = LANGUAGES[language].locale
    symbols = locale.number_symbols["latn"]
    days, months = locale.days["format"], locale.months["format"]
    numbers = {
        "decimal": symbols["decimal"],
        "thousands": symbols["group"],
        "grouping": [3],
        "currency": ["", ""],
        "percent": _percent_sign(language),
    }
    times = {
        "dateTime": f"{LANGUAGES[language].date} %H:%M",
        "date": LANGUAGES[language].date,
        "time": "%H:%M",
        "periods": ["AM", "PM"],
        "days": [days["wide"][place] for place in (6, 0, 1, 2, 3, 4, 5)],
        "shortDays": [days["abbreviated"][place] for place in (6, 0, 1, 2, 3, 4, 5)],
        "months": [months["wide"][place] for place in range(1, 13)],
        "shortMonths": [months["abbreviated"][place] for place in range(1, 13)],
    }
    return {"formatLocale": numbers, "timeFormatLocale": times}


# ── what a reader asks for ──────────────────────────────────────────────────────────────────────────────


def best(accepted: str) -> str:
    """The first language of an Accept-Language header that there is, by its weights; else English."""
    wanted = []
    for place, part in enumerate(accepted.split(",")[:20]):
        tag, _, weight = part.partition(";q=")
        try:
            wanted.append((-float(weight or 1), place, tag.strip().partition("-")[0].lower()))
        except ValueError:
            continue
    return next((tag for weight, _, tag in sorted(wanted) if weight < 0 and tag in LANGUAGES), ENGLISH)
