"""`dermastream report`: make, find and send weekly reports; who gets them, and what became of each mail."""

import contextlib
import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from flows.commands import AsJson, Home, log_json, settings_of

app = App(name="report", help="Weekly reports: make, find, send.", result_action="return_value")
recipients = App(name="recipients", help="Who gets mail: known accounts only.", result_action="return_value")
app.command(recipients)

Week = Annotated[str | None, Parameter(help="ISO week like 2026-W47 [default: the last one that ended]")]
Clinic = Annotated[str | None, Parameter(help="Edition of one clinic [default: the network's]")]
ReportId = Annotated[str, Parameter(help="The report, or the beginning of its id")]
DeliveryId = Annotated[str, Parameter(help="The delivery, or the beginning of its id")]
By = Annotated[str, Parameter(help="Who does it: a name or account")]
Account = Annotated[str, Parameter(help="Account of the dashboard")]


def _print(found: Any, json_: bool, lines: list[str]) -> None:
    print(json.dumps(found, indent=2, default=str) if json_ else "\n".join(lines))


@contextlib.contextmanager
def _warehouse(settings: Any, *, read_only: bool = True) -> Iterator[Any]:
    from warehouse import store

    with contextlib.closing(store.connect(settings.location, read_only=True)) as connection:
        if read_only:
            yield connection
            return
    with contextlib.closing(store.connect(settings.location)) as connection:
        store.migrate(connection, settings.location)
        yield connection


# ── making and finding ──────────────────────────────────────────────────────────────────────────────────


@app.command
def weekly(
    *,
    week: Week = None,
    clinic: Clinic = None,
    out: Annotated[Path | None, Parameter(help="Folder to write to [default: the archive]")] = None,
    json_: AsJson = False,
    home: Home = None,
) -> None:
    """Make a weekly report now: HTML, text, PDF and CSV. Nothing is mailed."""
    from dashboards.report import IsoWeek, build
    from dashboards.report.archive import record
    from flows.clock import utc_now

    settings = settings_of(home)
    now = utc_now()
    chosen = IsoWeek.named(week, now)
    with _warehouse(settings, read_only=out is not None) as connection:
        files = build(
            connection,
            week=chosen,
            clinic=clinic,
            archive=out or settings.archive_dir,
            now=now,
            dashboard_url=settings.reader_url,
        )
        if out is None:
            record(connection, settings.location, [files])
    _print([str(file) for file in files], json_, [str(file) for file in files])


@app.command(name="list")
def list_(
    *,
    week: Annotated[str | None, Parameter(help="Only that ISO week")] = None,
    clinic: Annotated[str | None, Parameter(help="Only that clinic's edition")] = None,
    search: Annotated[str | None, Parameter(help="Only reports with these words")] = None,
    json_: AsJson = False,
    home: Home = None,
) -> None:
    """Issued reports, newest first."""
    from warehouse import issues

    edition = f"clinic-{clinic}" if clinic else None
    with _warehouse(settings_of(home), read_only=False) as connection:
        found = issues.listed(connection, week=week, edition=edition, words=search)
    lines = [
        f"{row['report_id']}  issued {row['issued_at']:%Y-%m-%d %H:%M} UTC  {row['reason'] or ''}".rstrip()
        for row in found
    ]
    _print(found, json_, lines or ["no reports"])


@app.command
def show(report: ReportId, /, *, json_: AsJson = False, home: Home = None) -> None:
    """One report: its text, whether its files are what was issued, and who got it."""
    from dashboards.report.model import ReportData
    from dashboards.report.render_text import render_text
    from flows.delivery.working import ledger_of
    from warehouse import issues

    settings = settings_of(home)
    with _warehouse(settings, read_only=False) as connection:
        files = issues.files(connection, report)
    data = ReportData.from_json(next(row["document"] for row in files if row["kind"] == "json").encode())
    wrong = issues.changed(files, settings.archive_dir)
    sent = [row for row in ledger_of(settings).listed(period=data.week) if row["scope"] == data.edition]
    lines = [render_text(data).decode(), *(_file_line(row) for row in files)]
    lines += [f"archive: {what}" for what in wrong] or ["archive: every file is what was issued"]
    lines += [_delivery_line(row) for row in sent]
    told = [{name: value for name, value in row.items() if name != "document"} for row in files]
    _print({"report": data.report_id, "files": told, "wrong": wrong, "deliveries": sent}, json_, lines)


def _file_line(row: dict[str, Any]) -> str:
    return f"{row['kind']:<5} {row['bytes']:>9,} bytes  sha256 {row['sha256']}"


@app.command
def render(
    report: ReportId,
    /,
    *,
    out: Annotated[Path, Parameter(help="Folder to write to")],
    json_: AsJson = False,
    home: Home = None,
) -> None:
    """Make an issued report again from the snapshot it names, and say whether each file is the same."""
    import hashlib

    from dashboards.report.archive import RENDERERS, again
    from dashboards.report.model import ReportData
    from producers.contracts import CheckFailed
    from warehouse import issues

    settings = settings_of(home)
    with _warehouse(settings, read_only=False) as connection:
        files = issues.files(connection, report)
    data = ReportData.from_json(next(row["document"] for row in files if row["kind"] == "json").encode())
    fresh = again(settings.location, data)
    out.mkdir(parents=True, exist_ok=True)
    same = {}
    for row in files:
        content = RENDERERS[row["kind"]](fresh)
        (out / f"{data.report_id}.{row['kind']}").write_bytes(content)
        same[row["kind"]] = hashlib.sha256(content).hexdigest() == row["sha256"]
    _print(same, json_, [f"{kind:<5} {'same bytes' if is_ else 'OTHER'}" for kind, is_ in same.items()])
    if not all(same.values()):
        raise CheckFailed(f"{data.report_id}: rendered again it is not what was issued")


# ── sending ─────────────────────────────────────────────────────────────────────────────────────────────


@app.command
def send(
    report: ReportId,
    /,
    *,
    test: Annotated[str | None, Parameter(help="Only to this account, marked as a test")] = None,
    json_: AsJson = False,
    home: Home = None,
) -> None:
    """Mail an issued report to its readers who have not had it; nobody gets it twice."""
    from flows.clock import utc_now
    from flows.delivery.reporting import Reporting

    settings = _with_mail(home)
    with _warehouse(settings, read_only=False) as connection:
        issued = _issued(settings, connection, report)
        reporting = Reporting(settings, connection, utc_now())
        planned = reporting.plan_test(issued, test) if test else reporting.plan(issued)
    _send(settings, planned, json_)


@app.command
def resend(
    report: ReportId,
    /,
    *,
    to: Account,
    reason: Annotated[str, Parameter(help="Why it is sent once more; kept in the ledger")],
    by: By,
    json_: AsJson = False,
    home: Home = None,
) -> None:
    """Mail a report once more to one reader, for a reason: a delivery of its own."""
    from flows.clock import utc_now
    from flows.delivery.reporting import Reporting

    settings = _with_mail(home)
    with _warehouse(settings, read_only=False) as connection:
        issued = _issued(settings, connection, report)
        planned = Reporting(settings, connection, utc_now()).plan_again(issued, to, by=by, reason=reason)
    _send(settings, planned, json_)


@app.command
def preview(
    *,
    out: Annotated[Path, Parameter(help="Folder to write to")],
    week: Week = None,
    clinic: Clinic = None,
    home: Home = None,
) -> None:
    """Write the report and the mail that would go out, as files; nothing is archived or sent."""
    from dashboards.report import IsoWeek, build
    from flows.clock import utc_now
    from flows.delivery.mail import compose
    from warehouse.deliveries import Delivery, Key

    settings = settings_of(home)
    now = utc_now()
    chosen = IsoWeek.named(week, now)
    with _warehouse(settings) as connection:
        files = build(
            connection, week=chosen, clinic=clinic, archive=out, now=now, dashboard_url=settings.reader_url
        )
    stem = files[0].relative_to(out).with_suffix("").as_posix()
    key = Key("mail", "preview", chosen.label, "preview", "preview", 1)
    delivery = Delivery(key.id, key, json.dumps({"report": stem}), "planned", None, 0, now, None)
    mail = files[0].with_suffix(".eml")
    mail.write_bytes(
        compose(delivery, "reader@localhost", settings.mail_from, out, attach_pdf=settings.mail_attach_pdf)
    )
    print("\n".join(map(str, [*files, mail])))


@app.command
def deliveries(
    *,
    open_: Annotated[
        bool, Parameter(name="--open", negative="", help="Only what is not over: waiting, or unknown")
    ] = False,
    week: Annotated[str | None, Parameter(help="Only that ISO week")] = None,
    json_: AsJson = False,
    home: Home = None,
) -> None:
    """What became of each mail, newest first. Look at the unknown ones: they are never sent by themselves."""
    from flows.delivery.working import ledger_of

    states = ("planned", "rendered", "handed over", "unknown") if open_ else ()
    found = ledger_of(settings_of(home)).listed(states=states, period=week)
    _print(found, json_, [_delivery_line(row) for row in found] or ["no deliveries"])


def _delivery_line(row: dict[str, Any]) -> str:
    what = f"{row['kind']} {row['period']} {row['scope']} r{row['revision']}"
    return f"{row['id']}  {row['state']:<11} {what} to {row['recipient']}  {row['detail']}".rstrip()


@app.command
def resolve(
    delivery: DeliveryId,
    /,
    *,
    arrived: Annotated[bool, Parameter(negative="--not-arrived", help="Whether it arrived")],
    reason: Annotated[str, Parameter(help="How you know")],
    by: By,
    home: Home = None,
) -> None:
    """Say what became of an unknown delivery. One that did not arrive is sent again, with its Message-ID."""
    from flows.clock import utc_now
    from flows.delivery.working import ledger_of

    ledger = ledger_of(settings_of(home))
    print(ledger.resolve(delivery, arrived=arrived, by=by, reason=reason, at=utc_now()))


@app.command
def bounce(
    file: Annotated[Path, Parameter(help="The message as it came, headers and all")],
    /,
    *,
    home: Home = None,
) -> None:
    """Book a bounce (RFC 3464): the delivery has failed, with the status code. An address that does not work
    gets nothing more until the recipient is added anew."""
    from flows.clock import utc_now
    from flows.delivery.bounce import read
    from flows.delivery.working import ledger_of
    from producers.contracts import CheckFailed, SettingsError

    ledger = ledger_of(settings_of(home))
    try:
        found = read(file.read_bytes())
        booked = ledger.came_back(found.delivery, found.detail, address=found.address, at=utc_now())
    except OSError as error:
        raise SettingsError(f"{file}: {error.strerror or error}") from None
    except CheckFailed as error:
        raise CheckFailed(f"{file}: {error}") from None
    print(f"{found.delivery}  failed  {found.detail}" if booked else f"{found.delivery} is booked already")


def _with_mail(home: Path | None) -> Any:
    from producers.contracts import SettingsError

    settings = settings_of(home)
    if not settings.mail_host:
        raise SettingsError("DERMASTREAM_MAIL_HOST is not set: nothing can be mailed")
    return settings


def _issued(settings: Any, connection: Any, report: str) -> Path:
    from warehouse import issues

    row = issues.files(connection, report)[0]
    folder: Path = settings.archive_dir
    return folder / row["week"] / row["edition"] / f"{row['report_id']}.json"


def _send(settings: Any, planned: int, json_: bool) -> None:
    from flows.clock import utc_now
    from flows.delivery.working import sender_of

    log_json()
    done = vars(sender_of(settings, utc_now).run())
    counted = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in done.items())
    _print({"planned": planned, **done}, json_, [f"{planned} planned; {counted}"])


# ── recipients ──────────────────────────────────────────────────────────────────────────────────────────


@recipients.command
def add(
    account: Account,
    address: Annotated[str, Parameter(help="Mail address, of an allowed domain")],
    /,
    *,
    weekly: Annotated[bool, Parameter(help="The weekly report of what the account may see")] = True,
    signals: Annotated[bool, Parameter(help="Signals within what it may see")] = True,
    home: Home = None,
) -> None:
    """Send an account its reports and signals; said again it replaces what was said, and lifts a refusal."""
    from flows.delivery.working import ledger_of, policy_of
    from warehouse.deliveries import Recipient

    settings = settings_of(home)
    policy_of(settings, ledger_of(settings)).add(Recipient(account, address, weekly, signals))
    print(f"{account} gets mail")


@recipients.command(name="list")
def list_recipients(*, json_: AsJson = False, home: Home = None) -> None:
    """Who gets what, who has paused, and whose address was refused."""
    import dataclasses

    from flows.delivery.working import ledger_of

    found = ledger_of(settings_of(home)).recipients()
    lines = []
    for each in found:
        gets = [name for name, is_ in (("weekly", each.weekly), ("signals", each.signals)) if is_]
        paused = f"  paused until {each.paused_until:%Y-%m-%d}" if each.paused_until else ""
        refused = f"  refused: {each.bounced}" if each.bounced else ""
        lines.append(f"{each.account}  {each.address}  {', '.join(gets) or 'nothing'}{paused}{refused}")
    _print([dataclasses.asdict(each) for each in found], json_, lines or ["no recipients"])


@recipients.command
def remove(account: Account, /, *, home: Home = None) -> None:
    """Send that account nothing more, not even what is planned."""
    from flows.delivery.working import ledger_of

    print(
        f"{account} removed" if ledger_of(settings_of(home)).forget(account) else f"{account} was not there"
    )


@recipients.command
def pause(
    account: Account,
    /,
    *,
    until: Annotated[dt.date | None, Parameter(help="First day with mail again, UTC [default: now]")] = None,
    home: Home = None,
) -> None:
    """Send that account nothing until a day; without a day, go on."""
    import dataclasses

    from flows.delivery.working import ledger_of
    from producers.contracts import SettingsError

    ledger = ledger_of(settings_of(home))
    found = [each for each in ledger.recipients() if each.account == account]
    if not found:
        raise SettingsError(f"{account} is no recipient")
    end = dt.datetime.combine(until, dt.time(), tzinfo=dt.UTC) if until else None
    ledger.remember(dataclasses.replace(found[0], paused_until=end))
    print(f"{account} paused until {until}" if until else f"{account} gets mail again")
