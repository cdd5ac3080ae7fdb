"""`dermastream user`: who may read the dashboard, as what, and of which clinics."""

import getpass
import json
import secrets
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from flows.commands import AsJson, Home, settings_of

app = App(name="user", help="Who may read the dashboard.", result_action="return_value")

Name = Annotated[str, Parameter(help="Name of the account")]
Role = Annotated[
    str, Parameter(help="network_manager, clinic_manager (with --clinic), analyst (reads) or admin (runs it)")
]
Clinics = Annotated[
    list[str] | None, Parameter(name="--clinic", negative="", help="A clinic; may be repeated")
]
PasswordFile = Annotated[
    Path | None, Parameter(help="File with the password; without, one is made and printed once")
]

SingleSignOn = Annotated[
    bool,
    Parameter(
        name="--single-sign-on", negative="", help="No password: through the OpenID provider, under that name"
    ),
]


def _accounts(home: Any) -> Path:
    return Path(settings_of(home).home) / "dashboard" / "accounts.sqlite"


def _password(file: Path | None) -> tuple[str, bool]:
    """The password, and whether it was made here."""
    from producers.contracts.errors import SettingsError

    if file is None:
        return secrets.token_urlsafe(15), True
    try:
        return file.read_text().strip(), False
    except OSError as error:
        raise SettingsError(f"password file {file}: {error.strerror}") from None


def _note(path: Path, what: str) -> None:
    """Changes of accounts stand in the audit trail beside what the accounts did."""
    from dashboards.audit import Audit
    from flows.clock import utc_now

    Audit(path.with_name("audit.sqlite")).append(
        "account", what, at=utc_now(), account=getpass.getuser(), role="command line"
    )


def _told(name: str, did: str, password: tuple[str | None, bool]) -> None:
    print(f"{name}: {did}")
    if password[1]:
        print(f"password, shown only here: {password[0]}")


@app.command
def add(
    name: Name,
    /,
    *,
    role: Role,
    clinic: Clinics = None,
    password_file: PasswordFile = None,
    single_sign_on: SingleSignOn = False,
    home: Home = None,
) -> None:
    """Add an account, or give one another role, clinics and password; its sessions end."""
    from dashboards import accounts
    from producers.contracts.errors import SettingsError

    if single_sign_on and password_file:
        raise SettingsError("--single-sign-on and --password-file: an account has one or the other")
    path = _accounts(home)
    password = (None, False) if single_sign_on else _password(password_file)
    accounts.add_user(path, name, password[0], role, clinic or ())
    way = ", single sign-on" if single_sign_on else ""
    _note(path, f"add {name} as {role} of {', '.join(clinic or ()) or 'all'}{way}")
    _told(name, f"added as {role}{way}", password)


@app.command
def disable(name: Name, /, *, home: Home = None) -> None:
    """Let nobody in under that name; open pages end at once. `reset` or `add` lets them in again."""
    from dashboards import accounts
    from flows.clock import utc_now

    path = _accounts(home)
    _known(accounts.disable_user(path, name, now=utc_now()), name)
    _note(path, f"disable {name}")
    print(f"{name}: disabled")


@app.command
def reset(name: Name, /, *, password_file: PasswordFile = None, home: Home = None) -> None:
    """Give an account a new password; its sessions and its waiting after failures end."""
    from dashboards import accounts

    path, password = _accounts(home), _password(password_file)
    _known(accounts.reset_password(path, name, password[0]), name)
    _note(path, f"reset {name}")
    _told(name, "has a new password", password)


def _known(found: bool, name: str) -> None:
    from producers.contracts.errors import SettingsError

    if not found:
        raise SettingsError(f"there is no account {name}")


@app.command(name="list")
def list_(*, json_: AsJson = False, home: Home = None) -> None:
    """Every account with its role, its clinics, and whether it is disabled or has no password."""
    from dashboards import accounts

    path = _accounts(home)
    off, through = accounts.disabled_users(path), accounts.without_password(path)
    found: list[dict[str, Any]] = [
        {
            "name": each.name,
            "role": each.role,
            "clinics": sorted(each.clinic_ids),
            "disabled": each.name in off,
            "single_sign_on": each.name in through,
        }
        for each in accounts.list_users(path)
    ]
    if json_:
        print(json.dumps(found, indent=2))
        return
    for row in found:
        clinics = ", ".join(row["clinics"]) or (
            "all clinics" if row["role"] != "clinic_manager" else "no clinic"
        )
        notes = "  single sign-on" * row["single_sign_on"] + "  disabled" * row["disabled"]
        print(f"{row['name']:<20} {row['role']:<16} {clinics}{notes}")
