"""The error tree of the whole project.

    DermastreamError
    ├─ Terminal    trying again cannot help
    │   ├─ ContractViolation   -> quarantine the event, keep going
    │   ├─ SettingsError       -> refuse to start, name the setting
    │   └─ CheckFailed         -> stop before publishing
    └─ Retryable   the same call may work later
        ├─ BrokerUnavailable   -> retry with back-off
        ├─ WarehouseUnavailable -> say so, retry later
        └─ WarehouseConflict   -> retry the whole transaction

A message says what failed, where, and a hint; it never carries a person's data.
"""


class DermastreamError(Exception):
    """Anything we can name; the command line prints it as one line."""


class Terminal(DermastreamError):
    """Trying again cannot help."""


class Retryable(DermastreamError):
    """The same call may work later."""


class ContractViolation(Terminal):
    """An event that the contracts refuse.

    `rule` is a stable identifier (`json.invalid`, `field.unknown`, …), `path` the JSON path at fault.
    Neither carries a value of the event, so both are safe in logs.
    """

    def __init__(self, rule: str, path: str, detail: str) -> None:
        super().__init__(f"{rule} at {path}: {detail}")
        self.rule = rule
        self.path = path
        self.detail = detail


class SettingsError(Terminal):
    """A setting, argument or port that we cannot start with."""


class CheckFailed(Terminal):
    """A check on the data or the books did not hold."""


class BrokerUnavailable(Retryable):
    """Kafka cannot be reached, or did not answer in time."""


class WarehouseUnavailable(Retryable):
    """The warehouse cannot be written now: its disk is full, or fails."""


class WarehouseConflict(Retryable):
    """Another writer came first, or the catalog was locked: run the transaction again."""
