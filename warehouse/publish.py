"""A plain DuckDB file of what analysts may see: core and mart for one audience, small cells suppressed.

What is not in the file cannot be asked out of it: rows of other clinics and pages that once held them are not
there, and patients' keys are replaced by numbers that hold within this file only.
"""

import contextlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from producers.contracts.errors import SettingsError
from warehouse import store
from warehouse.store import Connection

STORAGE_VERSION = "v1.4.0"
"""Oldest DuckDB that shall open the file: the long-term release."""

SMALLEST_SHOWN = 5
"""Groups of fewer people are not shown, as in reports."""

_OF_THE_NETWORK = frozenset({"core.protocol", "core.expected_reaction_rule", "mart.protocol"})
"""Relations without a clinic or scope that every audience may see."""

_LEFT_OUT = frozenset(
    f"{schema}.{name}"
    for schema, names in {
        "core": "telemetry_part telemetry_rollup",
        "mart": "data_dictionary kept session_outcome session_sign patient_assessment "
        "left_out reported_pair hierarchy_test severity_trend device_drift protocol_rank protocol_balance "
        "shrunken_effect case_mix_calibration data_quality",
    }.items()
    for name in names.split()
)
"""The file has a dictionary of its own; parts of telemetry are in core.telemetry_summary, what refresh keeps
is in the views of core, and findings are counts of few, which nothing in them says how to suppress."""

_FIGURES = frozenset({"numerator", "denominator", "value", "lower", "upper"})


@dataclass(frozen=True)
class Published:
    """The file, and the rows of each relation in it."""

    file: Path
    clinics: Sequence[str] | None
    rows: dict[str, int]


def publish(connection: Connection, file: Path, *, clinics: Sequence[str] | None = None) -> Published:
    """Write `file`, all of it or nothing, at one snapshot, for the given clinics or for all.

    For some clinics: their rows, their own and the network's results, and what belongs to the network.
    Raises SettingsError for an unknown clinic or a file that cannot be written.
    """
    unfinished = file.with_name(f".{file.name}.tmp")
    unfinished.unlink(missing_ok=True)
    try:
        with store.reading(connection):
            _known(connection, clinics)
            relations = store.rows(connection, store.statement("publish/relations"))
            store.attach_file(connection, unfinished, STORAGE_VERSION)
            rows = _fill(connection, relations, clinics)
            store.finish_file(connection)
        store.detach_file(connection)
        unfinished.chmod(0o600)
        unfinished.rename(file)
    except (OSError, store.Error) as error:
        raise SettingsError(f"cannot write {file}: {store.first_line(error)}") from None
    finally:
        store.detach_file(connection)
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)
    return Published(file, clinics, rows)


def _known(connection: Connection, clinics: Sequence[str] | None) -> None:
    there = {row["clinic_id"] for row in store.rows(connection, store.statement("publish/known_clinics"))}
    if clinics is not None and (unknown := sorted(set(clinics) - there)):
        raise SettingsError(f"no clinic {unknown[0]!r}")


def _fill(
    connection: Connection, relations: list[dict[str, Any]], clinics: Sequence[str] | None
) -> dict[str, int]:
    salt = secrets.token_hex(32)  # forgotten with this call: the same person has another number in every file
    connection.execute(store.statement("publish/large_cells"), {"smallest": SMALLEST_SHOWN})
    for schema in ("core", "mart"):
        connection.execute(f"CREATE SCHEMA published.{schema}")
    filled = {}
    for row in relations:
        whom = _whom(row["relation"], set(row["columns"]), clinics)
        if row["relation"] in _LEFT_OUT or whom is None:
            continue
        text = store.statement("publish/copy").replace("RELATION", _named(row["relation"]))
        text = text.replace("CHANGED", _changed(set(row["columns"]))).replace("WHOM", whom)
        bind = {"salt": salt, "smallest": SMALLEST_SHOWN, "clinics": list(clinics or ())}
        used = {name: value for name, value in bind.items() if f"${name}" in text}
        filled[row["relation"]] = int(connection.execute(text, used).fetchall()[0][0])
        _comment(connection, row)
    connection.execute(store.statement("publish/dictionary"), {"relations": list(filled)})
    store.make_macros(connection, "published")
    return filled


def _named(relation: str) -> str:
    return ".".join(f'"{part}"' for part in relation.split("."))


def _whom(relation: str, columns: set[str], clinics: Sequence[str] | None) -> str | None:
    """The condition on rows for the audience; none where the relation is not for it at all."""
    if clinics is None or relation in _OF_THE_NETWORK:
        return "true"
    if "clinic_id" in columns:
        return "list_contains($clinics, clinic_id)"
    if {"scope", "scope_id"} <= columns:
        return "scope = 'network' OR (scope = 'clinic' AND list_contains($clinics, scope_id))"
    return None


def _changed(columns: set[str]) -> str:
    """What replaces columns: pseudonyms of this file, and nothing where too few people are behind it."""
    changed = {}
    if "patient_key" in columns:
        changed["patient_key"] = "left(sha256(concat($salt, patient_key)), 16)"
    if {"clinic_id", "age_band", "skin_type"} <= columns:
        large = "(clinic_id, age_band, skin_type) IN (SELECT clinic_id, age_band, skin_type FROM large_cell)"
        changed |= {name: f"CASE WHEN {large} THEN {name} END" for name in ("age_band", "skin_type")}
    if {"numerator", "denominator", "reason"} <= columns:
        small = "denominator > 0 AND denominator < $smallest"
        for name in sorted(_FIGURES & columns):
            changed[name] = f"CASE WHEN NOT coalesce({small}, false) THEN {name} END"
        changed["reason"] = f"CASE WHEN {small} THEN 'suppressed: fewer than ' || $smallest ELSE reason END"
    return (
        f"REPLACE ({', '.join(f'{value} AS {name}' for name, value in changed.items())})" if changed else ""
    )


def _comment(connection: Connection, row: dict[str, Any]) -> None:
    relation = f"published.{_named(row['relation'])}"
    store.comment(connection, f"TABLE {relation}", row["comment"])
    for name, text in zip(row["columns"], row["column_comments"], strict=True):
        store.comment(connection, f'COLUMN {relation}."{name}"', text)
