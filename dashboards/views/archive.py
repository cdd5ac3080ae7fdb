"""The archive of reports as a list."""

import urllib.parse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dashboards import words
from dashboards.language import say
from dashboards.queries import Row
from dashboards.views.context import NETWORK


@dataclass(frozen=True)
class File:
    """One file of an issue. `checksum` is its SHA-256, hexadecimal."""

    kind: str
    address: str
    size: str
    checksum: str


@dataclass(frozen=True)
class Report:
    """One issue in the archive, its files in the order people want them."""

    week: str
    title: str
    report_id: str
    revision: str
    issued: str
    files: tuple[File, ...]


_KINDS = ("html", "pdf", "csv", "txt", "json")


def issues(rows: Iterable[Row], names: Mapping[str, str]) -> list[Report]:
    """Rows of dashboard/report, in their order; `names` by clinic_id."""
    return [_issue(row, names) for row in rows]


def _issue(row: Row, names: Mapping[str, str]) -> Report:
    clinic_id = row["edition"].removeprefix("clinic-")
    given = {file["kind"]: file for file in row["files"]}
    folder = f"/reports/{row['week']}/{row['edition']}"
    files = tuple(
        File(
            kind.upper(),
            urllib.parse.quote(f"{folder}/{row['report_id']}.{kind}"),
            f"{words.count(max(1, round(given[kind]['bytes'] / 1000)))} KB",
            given[kind]["sha256"],
        )
        for kind in _KINDS
        if kind in given
    )
    return Report(
        row["week"],
        say("Network") if row["edition"] == NETWORK else names.get(clinic_id, clinic_id),
        row["report_id"],
        say("revision {number}: {reason}", number=row["revision"], reason=row["reason"])
        if row["reason"]
        else "",
        words.moment(row["issued_at"]),
        files,
    )
