"""The wall clock. Only entry points look at it; everything below is told the time."""

import datetime as dt


def utc_now() -> dt.datetime:
    """Now, in UTC."""
    return dt.datetime.now(dt.UTC)
