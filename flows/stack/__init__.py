"""The embedded stack: real Kafka, Prefect's server, our own processes, supervised on one machine."""
