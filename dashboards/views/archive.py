"""The archive of reports as a list."""

import urllib.parse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from dashboards.views.context import NETWORK


@dataclass(frozen=True)
class Report:
    """One issue in the archive: `files` are (kind, address), in the order people want them."""

    week: str
    edition: str
    title: str
    report_id: str
    files: tuple[tuple[str, str], ...]


_KINDS = ("html", "pdf", "csv", "json")


def issues(paths: Iterable[PurePosixPath], names: Mapping[str, str]) -> list[Report]:
    """Issues of `<week>/<edition>/<report id>.<kind>`, newest week first; `names` by clinic_id."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for path in paths:
        week, edition = path.parts[:2]
        found.setdefault((week, edition, path.stem), []).append(path.suffix.removeprefix("."))
    shown = []
    for (week, edition, report_id), kinds in sorted(found.items(), key=_newest_first):
        clinic_id = edition.removeprefix("clinic-")
        title = "Network" if edition == NETWORK else names.get(clinic_id, clinic_id)
        files = tuple(
            (
                kind.upper(),
                "/reports/" + urllib.parse.quote(f"{week}/{edition}/{report_id}.{kind}"),
            )
            for kind in _KINDS
            if kind in kinds
        )
        shown.append(Report(week, edition, title, report_id, files))
    return shown


def _newest_first(item: tuple[tuple[str, str, str], list[str]]) -> tuple[int, bool, str, str]:
    (week, edition, report_id), _ = item
    number = int("".join(digit for digit in week if digit.isdigit()) or 0)
    return (-number, edition != NETWORK, edition, report_id)
