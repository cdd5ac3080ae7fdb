"""The small program that a clinic runs: it takes the clinic's events and loses none of them.

    clinic's systems ──► intake ──────► outbox ───► forwarder ──► Kafka
    HTTP, NDJSON, CSV    pseudonymous,  on disk     in order, again
                         checked                    until acknowledged

Patients become pseudonymous before anything is stored; a sender is told "accepted" only once its events are
on disk; an event leaves the outbox's queue only when the broker has acknowledged it. So an event reaches
Kafka at least once, and the warehouse counts it once, by its source and id.
"""
