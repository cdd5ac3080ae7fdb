"""The parts of a refresh measured on several machines, by Prefect's task runner on a Dask cluster.

flow `metrics` -> a task per part of warehouse.measuring -> a Dask worker, which reads the warehouse by its
own settings -> the parts' tables, back to the refresh that asked

Workers are `dask worker <scheduler>` with dermastream installed and the warehouse's settings in their
environment; none of those, and no data, stands in the parameters that Prefect keeps.
"""

import datetime as dt
from collections.abc import Sequence
from typing import Any, cast

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect_dask import DaskTaskRunner

from flows.settings import Settings
from producers.contracts import CheckFailed, Retryable, WarehouseUnavailable
from warehouse import kept, measuring
from warehouse.measuring import Found
from warehouse.refresh import Spread

WORKER_MEMORY = "1GB"
"""What DuckDB may take for one part."""


@task(name="measure", task_run_name="measure-{part}", cache_policy=NO_CACHE, persist_result=False)
def measure(part: str, facts: int, marts: int, as_of: dt.datetime) -> Found:
    """One part, on the machine that this runs on."""
    location = Settings.load().location
    with kept.saved(location, facts, marts, memory_limit=WORKER_MEMORY) as connection:
        return measuring.PARTS[part](connection, as_of)


def over(address: str, seconds: float) -> Spread:
    """A refresh's parts by the workers of the Dask scheduler at `address`, within so many seconds each.

    The Spread raises WarehouseUnavailable where Prefect or the cluster does not answer, the cluster has no
    worker left or takes longer, or a part fails as it should not; and CheckFailed as the parts do.
    """

    def spread(facts: int, marts: int, as_of: dt.datetime) -> Sequence[Found]:
        runner = DaskTaskRunner(address=address, client_kwargs={"timeout": 30})

        @flow(name="metrics", task_runner=cast("Any", runner), persist_result=False)
        def metrics() -> list[Found]:
            futures = [measure.submit(part, facts, marts, as_of) for part in measuring.PARTS]
            return [future.result(timeout=seconds) for future in futures]

        try:
            return metrics()
        except (CheckFailed, Retryable):
            raise
        except Exception as error:  # Prefect or the cluster is away, or a worker is of another version
            reason = type(error).__name__
            raise WarehouseUnavailable(f"metric workers at {address}: {reason}, tried again later") from None

    return spread
