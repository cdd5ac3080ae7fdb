"""What must hold before a refresh is published, as queries that return the rows that break it.

sql/check/fail/*.sql   any row: CheckFailed, nothing is published and the last good results stay
sql/check/warn/*.sql   any row: published, and the report says how many
"""

from producers.contracts.errors import CheckFailed
from warehouse import store
from warehouse.store import Connection


def run(connection: Connection) -> dict[str, int]:
    """Run every check; gives the warnings with their number of rows. Raises CheckFailed naming the check.

    A row names metrics, clinics and counts, never a patient, so the first one is told.
    """
    for name in store.statements("check/fail"):
        if found := store.rows(connection, store.statement(name)):
            first = ", ".join(f"{column} {value}" for column, value in found[0].items())
            raise CheckFailed(f"{name.rsplit('/', 1)[1]}: {len(found)} rows break it, first {first}")
    counts = {
        name.rsplit("/", 1)[1]: len(store.rows(connection, store.statement(name)))
        for name in store.statements("check/warn")
    }
    return {name: rows for name, rows in counts.items() if rows}
