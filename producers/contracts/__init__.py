"""The event contracts: one frozen typed class per event, and the strict codec for them.

This package imports nothing else of ours, and neither kafka, duckdb, polars nor prefect,
so a clinic's integrator can use it alone.
"""

from producers.contracts.codec import CODEC_VERSION, decode, encode
from producers.contracts.errors import (
    BrokerUnavailable,
    CheckFailed,
    ContractViolation,
    DermastreamError,
    Retryable,
    SettingsError,
    Terminal,
    WarehouseConflict,
    WarehouseUnavailable,
)
from producers.contracts.events import (
    EVENTS,
    NEWEST,
    TOPICS,
    Event,
    EventClass,
    Topic,
    clinic_of,
    lift,
    partition_key,
)
from producers.contracts.routes import is_ours, own_topic, route

__all__ = [
    "CODEC_VERSION",
    "EVENTS",
    "NEWEST",
    "TOPICS",
    "BrokerUnavailable",
    "CheckFailed",
    "ContractViolation",
    "DermastreamError",
    "Event",
    "EventClass",
    "Retryable",
    "SettingsError",
    "Terminal",
    "Topic",
    "WarehouseConflict",
    "WarehouseUnavailable",
    "clinic_of",
    "decode",
    "encode",
    "is_ours",
    "lift",
    "own_topic",
    "partition_key",
    "route",
]
