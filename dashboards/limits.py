"""How often one session may ask: a bucket of tokens each, refilled with time. Login has its own waits."""

import threading
from collections import OrderedDict
from dataclasses import dataclass

BURST = 120.0
PER_SECOND = 8.0
"""A person clicks now and then and a page fetches itself every few seconds [assumption]."""
EXPORT_COST = 6.0
_MOST_KEPT = 5_000


@dataclass
class _Bucket:
    tokens: float
    at: float


class Limits:
    """The buckets of one process, the least recently used forgotten first."""

    def __init__(self, burst: float = BURST, per_second: float = PER_SECOND) -> None:
        self._burst = burst
        self._per_second = per_second
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, key: str, cost: float, at: float) -> bool:
        """Whether that costs no more than is there; `at` is seconds."""
        with self._lock:
            bucket = self._buckets.pop(key, None) or _Bucket(self._burst, at)
            bucket.tokens = min(self._burst, bucket.tokens + max(0.0, at - bucket.at) * self._per_second)
            bucket.at = at
            allowed = bucket.tokens >= cost
            if allowed:
                bucket.tokens -= cost
            self._buckets[key] = bucket
            if len(self._buckets) > _MOST_KEPT:
                self._buckets.popitem(last=False)
            return allowed
