"""Results on a terminal: tables for people, JSON and CSV for machines."""

import csv
import json
import sys
from collections.abc import Sequence
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

console = Console(highlight=False, soft_wrap=True)
if not console.is_terminal:  # into a pipe or file: no line is cut
    console = Console(highlight=False, soft_wrap=True, width=10_000)


def print_rows(
    found: tuple[list[str], list[tuple[Any, ...]]], format_: Literal["table", "json", "csv"], limit: int
) -> None:
    """Print a query's columns and rows. `limit` holds for the table only."""
    names, rows = found
    if format_ == "json":
        json.dump([dict(zip(names, row, strict=True)) for row in rows], sys.stdout, default=str, indent=1)
        print()
    elif format_ == "csv":
        writer = csv.writer(sys.stdout)
        writer.writerow(names)
        writer.writerows(rows)
    else:
        _print_table(names, [list(row) for row in rows[:limit]])
        if len(rows) > limit:
            console.print(f"first {limit} of {len(rows)} rows")


def print_records(found: Sequence[dict[str, Any]], nothing: str) -> None:
    """Rows that are dictionaries with the same keys; `nothing` is said where there are none."""
    if not found:
        console.print(nothing)
        return
    _print_table(list(found[0]), [list(row.values()) for row in found])


def print_status(found: dict[str, Any]) -> None:
    """The status document in a screenful."""
    parts = "  ".join(f"{name} {value}" for name, value in found["components"].items())
    console.print(parts)
    names = ["topic", "partition", "landed_offset", "end_offset", "lag_events", "lag_seconds"]
    _print_table(names, [[p[name] for name in names] for p in found["partitions"]])
    if totals := found.get("totals"):
        console.print(
            f"consumed {totals['consumed']:,} = landed {totals['landed']:,} + duplicate "
            f"{totals['duplicate']:,} + quarantined {totals['quarantined']:,}"
            f"   books balance: {'yes' if found['balanced'] else 'NO'}"
        )
        console.print(f"newest event landed {found['newest_landed_at']}")
        console.print(f"newest metric       {found['newest_metric_at']}")
        console.print(f"newest snapshot     {found['newest_snapshot_id']} of {found['newest_snapshot_at']}")


def print_cards(cards: Sequence[dict[str, Any]]) -> None:
    for card in cards:
        console.print(f"[bold]{card['id']}[/bold] v{card['version']}  {card['title']}")
        console.print(f"    {card['numerator']}  /  {card['denominator']}")


def _print_table(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    table = Table(*names)
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row))
    console.print(table)
