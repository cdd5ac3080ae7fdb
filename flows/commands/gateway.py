"""`dermastream gateway`: the small program that a clinic runs, and what its IT person needs around it."""

import json
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from flows.commands import AsJson, log_json

if TYPE_CHECKING:
    from producers.gateway.folder import FileReport
    from producers.gateway.outbox import Entry, Outbox
    from producers.gateway.settings import GatewaySettings

app = App(
    name="gateway",
    help="Take a clinic's events in, make patients pseudonymous, keep them on disk, and send them on.",
    result_action="return_value",
)
token = App(name="token", help="Tokens with which the clinic's systems may send.")
app.command(token)

Folder = Annotated[
    Path | None, Parameter(name="--home", help="The gateway's folder [default: .dermastream/gateway]")
]


def _settings(home: Path | None) -> "GatewaySettings":
    from producers.gateway.settings import GatewaySettings

    return GatewaySettings.load(home)


@app.command
def init(
    clinic: Annotated[str, Parameter(help="The clinic's id, as in /clinics/<id>")], /, *, home: Folder = None
) -> None:
    """Make the gateway's folder: settings, patient key, inbox, and two example mappings.

    Nothing that is there already is changed.
    """
    from producers.gateway.setting_up import set_up

    for line in set_up(_settings(home), clinic):
        print(line)


@app.command
def run(
    *,
    accept_new_key: Annotated[
        bool, Parameter(negative="", help="Go on with another patient key: every patient becomes a new one")
    ] = False,
    home: Folder = None,
) -> None:
    """Take events in over HTTP and from the inbox, and send them, until stopped.

    POST /events takes one event, a batch, or CloudEvents' binary mode; 202 means that it is on disk.
    GET /health and GET /metrics tell depth and age of what waits.
    """
    from flows.clock import utc_now
    from producers.gateway.serving import run as serve

    log_json()
    serve(
        _settings(home),
        utc_now,
        accept_new_key=accept_new_key,
        said=lambda address: print(f"listening on {address}", flush=True),
    )


@app.command
def put(
    file: Annotated[
        Path, Parameter(help="Events, one JSON document a line, or with --mapping an export as CSV")
    ],
    /,
    *,
    mapping: Annotated[Path | None, Parameter(help="How the export's columns become events (TOML)")] = None,
    clinic: Annotated[str | None, Parameter(help="Whose events [default: the only clinic]")] = None,
    dry_run: Annotated[
        bool, Parameter(negative="", help="Print the events as they would be sent; store and send nothing")
    ] = False,
    json_: AsJson = False,
    home: Folder = None,
) -> None:
    """Put a file's events in the outbox, all of them or, while a line is refused, none.

    The gateway may be running or not: it sends what is in the outbox.
    """
    from flows.clock import utc_now
    from producers.gateway.folder import Files
    from producers.gateway.mapping import read_mapping
    from producers.gateway.opening import open_intake, open_outbox

    settings = _settings(home)
    whose = clinic or _only(settings)
    with open_outbox(settings) as outbox:
        files = Files(open_intake(settings, outbox), whose, settings.max_file_bytes, utc_now)
        columns = read_mapping(mapping) if mapping else None
        try:
            report = files.check(file, columns, _show) if dry_run else files.take(file, columns)
        except OSError as error:
            from producers.contracts import SettingsError

            raise SettingsError(f"cannot read {file}: {error.strerror}") from None
    _tell(report, dry_run=dry_run, as_json=json_)


def _show(entries: "Sequence[Entry]") -> None:
    for entry in entries:
        print(entry.value.decode())


def _tell(report: "FileReport", *, dry_run: bool, as_json: bool) -> None:
    """The account: after a dry run on standard error, since the events are on standard output."""
    from dataclasses import asdict

    out = sys.stderr if dry_run else sys.stdout
    if as_json:
        print(json.dumps(asdict(report)), file=out)
    else:
        for refusal in report.refusals:
            print(f"line {refusal.line}: {refusal.rule} at {refusal.path}: {refusal.detail}", file=sys.stderr)
        would = "would be " if dry_run else ""
        stored = report.events - report.refused if dry_run else report.stored
        repeated = "" if dry_run else f"{report.repeated} known already, "
        print(f"{report.events} events: {stored} {would}stored, {repeated}{report.refused} refused", file=out)
    if report.refused:
        sys.exit(1)


def _only(settings: "GatewaySettings") -> str:
    from producers.contracts import SettingsError

    if len(settings.clinics) != 1:
        raise SettingsError(
            "--clinic is needed: this gateway serves " + (", ".join(settings.clinics) or "none")
        )
    return settings.clinics[0]


def _existing_outbox(home: Path | None) -> "Outbox":
    from producers.contracts import SettingsError
    from producers.gateway.opening import open_outbox

    settings = _settings(home)
    if not settings.outbox_file.exists():
        raise SettingsError(f"there is no outbox in {settings.home}: is that the gateway's folder?")
    return open_outbox(settings)


@app.command
def status(*, json_: AsJson = False, home: Folder = None) -> None:
    """What is in the outbox: events waiting, age of the oldest, size; works while the gateway runs or not."""
    from flows.clock import utc_now

    with _existing_outbox(home) as outbox:
        state = outbox.state()
    found = {
        "waiting_events": state.depth,
        "oldest_age_seconds": round(state.waited_seconds(utc_now()), 1),
        "accepted_events": state.accepted,
        "sent_events": state.sent,
        "outbox_bytes": state.stored_bytes,
        "disk_free_bytes": state.free_disk_bytes,
    }
    print(json.dumps(found) if json_ else "\n".join(f"{name:20} {value:,}" for name, value in found.items()))


@app.command
def resend(
    *,
    since: Annotated[datetime, Parameter(help="Moment in UTC, like 2026-11-20T08:00")],
    home: Folder = None,
) -> None:
    """Queue again what was sent since then, for a broker that lost it; the network counts it once.

    Reaches as far back as `keep_content_days`.
    """
    from datetime import UTC

    moment = since if since.tzinfo else since.replace(tzinfo=UTC)
    with _existing_outbox(home) as outbox:
        print(f"{outbox.resend(moment)} events will be sent again")


# ── tokens ──────────────────────────────────────────────────────────────────────────────────────────────


@token.command
def add(
    *,
    label: Annotated[str, Parameter(help="Which system it is for, such as `booking`")],
    clinic: Annotated[
        str | None, Parameter(help="Whose events it may send [default: the only clinic]")
    ] = None,
    home: Folder = None,
) -> None:
    """Make a token and print it: this is the only time it can be read."""
    from flows.clock import utc_now
    from producers.contracts import SettingsError
    from producers.gateway.tokens import Tokens

    settings = _settings(home)
    whose = clinic or _only(settings)
    if whose not in settings.clinics:
        raise SettingsError(f"this gateway does not serve {whose}: see `clinics` in gateway.toml")
    print(Tokens(settings.tokens_file).add(whose, label, utc_now()))


@token.command(name="list")
def list_(*, json_: AsJson = False, home: Folder = None) -> None:
    """Every valid token by id, clinic, label and date; never the token itself."""
    from producers.gateway.tokens import Tokens

    found = [
        {"id": known.id, "clinic": known.clinic, "label": known.label, "created_at": known.created_at}
        for known in Tokens(_settings(home).tokens_file).all()
    ]
    if json_:
        print(json.dumps(found))
    else:
        for entry in found:
            print("  ".join(entry.values()))


@token.command
def revoke(
    token_id: Annotated[str, Parameter(help="As `token list` shows it")], /, *, home: Folder = None
) -> None:
    """Make a token worthless; a running gateway refuses it from its next request on."""
    from producers.contracts import SettingsError
    from producers.gateway.tokens import Tokens

    if not Tokens(_settings(home).tokens_file).revoke(token_id):
        raise SettingsError(f"there is no token {token_id}; see `dermastream gateway token list`")
    print(f"{token_id} revoked")
