"""What each role may do beside looking; which clinics it sees is the account's scope."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Rights:
    """`people`: rows about single patients; `signals`: act on signals; `replay`: land refused events after
    all;
    `audit`: read who looked at what; `operations`: refused events and the landing books."""

    people: bool = False
    signals: bool = False
    replay: bool = False
    audit: bool = False
    operations: bool = False


RIGHTS = {
    "network_manager": Rights(people=True, signals=True, operations=True),
    "clinic_manager": Rights(people=True, signals=True),
    "analyst": Rights(operations=True),
    "admin": Rights(replay=True, audit=True, operations=True),
}
"""By role; a test holds that every role has its line. Admins run the service and see no single patient."""
