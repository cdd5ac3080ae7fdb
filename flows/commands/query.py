"""`dermastream query`: the analysts' remote door: serve it, give and take tokens, read what was asked."""

import getpass
import json
from dataclasses import asdict
from datetime import timedelta
from typing import Annotated

from cyclopts import App, Parameter

from flows.commands import AsJson, Home, settings_of

app = App(
    name="query", help="The analysts' remote door: serve it, tokens, log.", result_action="return_value"
)

Name = Annotated[str, Parameter(help="Name of the analyst's account")]
NEWEST = 10_000
RESULT_BYTES = 512 * 2**20
"""Most of one answer: it stands in a file without a name until it is read [assumption]."""


@app.command
def serve(*, home: Home = None) -> None:
    """Answer one SELECT at a time over HTTP, as Arrow, CSV or JSON, until stopped.

    A stack does it by itself where DERMASTREAM_QUERY_PORT is set.
    """
    from dashboards.door.app import DoorSettings
    from dashboards.door.serve import Address
    from dashboards.door.serve import serve as run
    from dashboards.door.worker import Task
    from flows.clock import utc_now

    settings = settings_of(home)
    task = Task(
        settings.location.catalog,
        settings.location.data_path,
        settings.query_seconds,
        settings.query_memory_mb,
        settings.query_rows,
        RESULT_BYTES,
    )
    secret = settings.accounts_file.with_name("secret")
    certificate = settings.query_certificate_file
    run(
        DoorSettings(task, settings.query_workers, settings.accounts_file, secret, certificate is not None),
        Address(settings.query_host, settings.query_port, certificate, settings.query_key_file),
        utc_now,
        lambda address: print(f"listening on {address}", flush=True),
    )


@app.command
def issue(
    name: Name, /, *, days: Annotated[int, Parameter(help="How long it holds")] = 365, home: Home = None
) -> None:
    """Give an analyst a token, in place of the one before. It is shown here once; only its hash is kept."""
    from dashboards.audit import Audit
    from dashboards.door import tokens
    from flows.clock import utc_now
    from producers.contracts import SettingsError

    if days < 1:
        raise SettingsError("--days is at least 1")
    path, now = settings_of(home).accounts_file, utc_now()
    secret = tokens.issue(path, name, now=now, lasting=timedelta(days=days))
    Audit(path.with_name("audit.sqlite")).append(
        "account",
        f"query token issued to {name} for {days} days",
        at=now,
        account=getpass.getuser(),
        role="command line",
    )
    print(secret)


@app.command
def revoke(name: Name, /, *, home: Home = None) -> None:
    """Make an analyst's token worth nothing, from the next statement on."""
    from dashboards.audit import Audit
    from dashboards.door import tokens
    from flows.clock import utc_now
    from producers.contracts import SettingsError

    path = settings_of(home).accounts_file
    if not tokens.revoke(path, name):
        raise SettingsError(f"{name} has no token")
    Audit(path.with_name("audit.sqlite")).append(
        "account",
        f"query token of {name} revoked",
        at=utc_now(),
        account=getpass.getuser(),
        role="command line",
    )
    print(f"{name}: revoked")


@app.command(name="tokens")
def tokens_(*, json_: AsJson = False, home: Home = None) -> None:
    """Who has a token, since when and until when; never the tokens."""
    from dashboards.door import tokens
    from flows.clock import utc_now

    found = [asdict(each) for each in tokens.listed(settings_of(home).accounts_file, now=utc_now())]
    if json_:
        print(json.dumps(found, indent=2, default=str))
        return
    for row in found:
        state = "" if row["usable"] else "  over, or the account may not"
        print(f"{row['name']:<20} {row['issued_at']:%Y-%m-%d} to {row['ends_at']:%Y-%m-%d}{state}")


@app.command
def log(*, json_: AsJson = False, home: Home = None) -> None:
    """What was asked, oldest first: when, who, from where, the statement without its values, what came of it.

    Read from the dashboard's audit trail. Exit code 1 where the trail was tampered with.
    """
    from dashboards.audit import Audit
    from producers.contracts import CheckFailed

    audit = Audit(settings_of(home).accounts_file.with_name("audit.sqlite"))
    about = (e for e in audit.newest(NEWEST) if e["action"] == "query" or e["what"].startswith("query"))
    entries = [{name: each[name] for name in ("at", "account", "address", "what")} for each in about][::-1]
    if json_:
        print(json.dumps(entries, indent=2))
    else:
        for each in entries:
            print(f"{each['at'][:19]}  {each['account']:<16} {each['address']:<15} {each['what']}")
    if broken := audit.broken():
        raise CheckFailed(f"the audit trail: {broken}")
