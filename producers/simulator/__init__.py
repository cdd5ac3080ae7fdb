"""A seeded network of clinics that states what real ones would: history first, then live.

    world ──► clinic days ──► patients, outcomes, telemetry ─┐
      └────── registry ──────────────────────────────────────┼─► stream ─► runner ─► publisher
                                     malformed events ───────┘

The same seed, start and options give the same events, byte for byte.
"""

from producers.simulator.manifest import Manifest, Scenario, SimulatorOptions, load_manifest, settle
from producers.simulator.runner import run
from producers.simulator.sinks import Both, NdjsonFile

__all__ = ["Both", "Manifest", "NdjsonFile", "Scenario", "SimulatorOptions", "load_manifest", "run", "settle"]
