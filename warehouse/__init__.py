"""What we know: the tables, the SQL and the definition of every number."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from os import PathLike

    from warehouse.store import Connection


def connect(
    home: "str | PathLike[str]" = ".dermastream",
    *,
    catalog: str | None = None,
    data_path: str | None = None,
    memory_limit: str = "1GB",
    lock: bool = True,
) -> "Connection":
    """A read-only DuckDB connection to a warehouse, for Python, Jupyter and marimo; live while it is written.

    `home` is the folder in which the stack runs; scaled out, give `catalog` (`postgres:<dsn>`) and
    `data_path` (`s3://…`). Settings are locked, but for `lock=False`, which Ibis needs. Raises SettingsError
    where there is no warehouse.

        import warehouse
        warehouse.connect().sql("FROM mart.metric_current").pl()
    """
    from pathlib import Path

    from warehouse.store import Location, connect_analyst

    under = Location.under(Path(home))
    location = Location(catalog or under.catalog, data_path or under.data_path)
    return connect_analyst(location, memory_limit=memory_limit, lock=lock)
