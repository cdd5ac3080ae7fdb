"""Trying a transaction again while another writer is in the way."""

import logging

from tenacity import (
    Retrying,
    before_sleep_log,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

from producers.contracts import WarehouseConflict


def retrying() -> Retrying:
    """Try a whole transaction again while another writer is in the way; a lost progress is not retried."""
    return Retrying(
        retry=retry_if_exception_type(WarehouseConflict),
        wait=wait_random_exponential(multiplier=0.05, max=2),
        stop=stop_after_attempt(20),
        before_sleep=before_sleep_log(logging.getLogger("landing"), logging.WARNING),
        reraise=True,
    )
