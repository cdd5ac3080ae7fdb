"""Logging in through an OpenID provider that really runs: who gets in, as what, and every lie refused."""

import datetime as dt
import hmac
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey
from oidc_provider_mock import User
from starlette.testclient import TestClient

from dashboards import accounts
from dashboards.app import DashboardSettings, create_app
from dashboards.audit import Audit
from dashboards.settings import OpenId
from flows.settings import Settings
from producers.contracts.errors import SettingsError
from tests.dashboards.conftest import PASSWORD, Clock, login
from tests.dashboards.provider import Claims, Provider, encoded, running, unsigned
from tests.dashboards.test_accounts import run as user

pytestmark = pytest.mark.integration

PEOPLE = [
    User(sub="id-noor", claims={"preferred_username": "noor", "role": "admin", "groups": ["admin"]}),
    User(sub="id-sam", claims={"preferred_username": "sam"}),
    User(sub="id-manager", claims={"preferred_username": "manager"}),
    User(sub="id-other-noor", claims={"preferred_username": "noor"}),
    User(sub="id-mail", claims={"email": "noor", "email_verified": False, "preferred_username": "x"}),
    User(sub="id-away", claims={"preferred_username": "away"}),
]
SECRET = "a secret of the provider's: & more"  # noqa: S105 - of a provider that lives as long as a test


@pytest.fixture
def clock() -> Clock:
    """The provider's: it stamps its tokens with this machine's time."""
    return Clock(dt.datetime.now(dt.UTC))


@pytest.fixture(scope="module")
def shared() -> Iterator[Provider]:
    with running(PEOPLE) as provider:
        yield provider


@pytest.fixture
def provider(shared: Provider) -> Provider:
    shared.forge = None
    return shared


@pytest.fixture
def settings(settings: DashboardSettings, provider: Provider) -> DashboardSettings:
    """noor manages one clinic, away is disabled; both without a password."""
    accounts.add_user(settings.accounts, "noor", None, "clinic_manager", ("clinic-north",))
    accounts.add_user(settings.accounts, "away", None, "analyst", ())
    accounts.disable_user(settings.accounts, "away", now=dt.datetime.now(dt.UTC))
    openid = OpenId(provider.issuer, "dermastream", SECRET, "preferred_username")
    return replace(settings, openid=openid)


def to_provider(client: TestClient, target: str = "/") -> str:
    """The address that our page sends the browser to."""
    answer = client.get("/login/provider", params={"next": target})
    assert answer.status_code == 303
    return answer.headers["location"]


def proven(address: str, subject: str) -> str:
    """Log in at the provider; where it sends the browser back to, without our host."""
    back = httpx.post(address, data={"sub": subject}).headers["location"]
    return back.removeprefix("http://127.0.0.1")


def come_in(client: TestClient, subject: str, target: str = "/") -> Any:
    return client.get(proven(to_provider(client, target), subject))


def refused(answer: Any) -> bool:
    """Nobody is in, and the page does not tell why."""
    said = "gives no access here" in answer.text
    return answer.status_code == 401 and said and "dermastream_session" not in answer.headers["set-cookie"]


# ── who gets in ─────────────────────────────────────────────────────────────────────────────────────────


def test_known_person_comes_in_as_their_account(client: TestClient, settings: DashboardSettings):
    """Through the provider to where one wanted to go, with the account's clinic; the trail has it."""
    answer = come_in(client, "id-noor", "/?weeks=13")
    assert (answer.status_code, answer.headers["location"]) == (303, "/?weeks=13")
    page = client.get("/").text
    assert "North Street" in page
    assert "Harbour View" not in page
    entry = Audit(settings.audit).newest(2)[1]
    assert (entry["action"], entry["account"], entry["role"]) == ("login", "noor", "clinic_manager")


def test_role_and_clinics_are_the_accounts(client: TestClient):
    """What the provider says of roles and groups widens nothing: noor is its admin and not ours."""
    come_in(client, "id-noor")
    assert client.get("/audit").status_code == 403
    assert client.get("/protocols").status_code == 403
    assert client.get("/clinic?clinic=clinic-mill").status_code == 404


@pytest.mark.parametrize("subject", ["id-sam", "id-away", "id-manager"])
def test_others_are_refused(client: TestClient, settings: DashboardSettings, subject: str):
    """Who has no account, a disabled one, or one of that name with a password, does not get in."""
    assert refused(come_in(client, subject))
    assert client.get("/").status_code == 303
    entry = Audit(settings.audit).newest(1)[0]
    assert (entry["action"], entry["account"]) == ("login refused", "")


def test_same_name_of_another_person_is_refused(client: TestClient):
    """The first who comes under a name has the account; a name given to somebody else opens nothing."""
    assert come_in(client, "id-noor").status_code == 303
    assert refused(come_in(client, "id-other-noor"))


def test_person_with_another_name_keeps_their_account(client: TestClient, provider: Provider):
    """A name that changes at the provider does not lock out, since its `sub` stays."""
    come_in(client, "id-noor")
    provider.forge = lambda p, claims: p.sign(claims | {"preferred_username": "noor-married"})
    assert come_in(client, "id-noor").status_code == 303


def test_disabling_ends_the_session(client: TestClient, settings: DashboardSettings, clock: Clock):
    """An account disabled here is out at once and stays out, whatever the provider says."""
    come_in(client, "id-noor")
    accounts.disable_user(settings.accounts, "noor", now=clock())
    assert client.get("/").status_code == 303
    assert refused(come_in(client, "id-noor"))


def test_local_accounts_go_on_working(client: TestClient):
    """Beside the provider, name and password still work; the form offers both."""
    assert "/login/provider?next=/" in client.get("/login").text
    assert login(client, "manager").status_code == 303


def test_account_without_a_password_has_no_other_way_in(client: TestClient, settings: DashboardSettings):
    """No password opens it, an empty one neither, and a reset gives it none (CVE-2022-39360)."""
    for password in ("", PASSWORD):
        assert login(client, "noor", password).status_code == 401
    with pytest.raises(SettingsError, match="has no password"):
        accounts.reset_password(settings.accounts, "noor", PASSWORD)


def test_unverified_address_is_refused(settings: DashboardSettings, clock: Clock):
    """Where the mail address names the account, one that the provider has not verified is nobody's."""
    assert settings.openid is not None
    by_mail = replace(settings, openid=replace(settings.openid, account_claim="email"))
    with TestClient(create_app(by_mail, clock), follow_redirects=False) as client:
        assert refused(come_in(client, "id-mail"))


# ── sessions ────────────────────────────────────────────────────────────────────────────────────────────


def test_login_ends_the_session_before(client: TestClient):
    """The session is a new one; that of the account before is over on the server, too."""
    login(client, "manager")
    old = client.cookies["dermastream_session"]
    come_in(client, "id-noor")
    assert client.cookies["dermastream_session"] != old
    client.cookies.clear()
    client.cookies.set("dermastream_session", old)
    assert client.get("/").status_code == 303


def test_logout(client: TestClient, provider: Provider):
    """Logging out ends our session; the page then offers to end the provider's, too."""
    come_in(client, "id-noor")
    token = client.get("/").text.split('name="csrf" value="')[1].split('"')[0]
    assert client.post("/logout", data={"csrf": token}).headers["location"] == "/login"
    assert client.get("/").status_code == 303
    assert "/login/provider/out" in client.get("/login").text
    there = client.get("/login/provider/out").headers["location"]
    assert there == f"{provider.issuer}/oauth2/end_session?client_id=dermastream"


# ── answers that prove nobody ───────────────────────────────────────────────────────────────────────────


def _with(**changes: Any) -> Callable[[Provider, Claims], str]:
    return lambda provider, claims: provider.sign(claims | changes)


def _without(name: str) -> Callable[[Provider, Claims], str]:
    return lambda provider, claims: provider.sign({k: v for k, v in claims.items() if k != name})


def _by_another_key(provider: Provider, claims: Claims) -> str:
    return jwt.encode({"alg": "RS256", "kid": provider.key.kid}, claims, RSAKey.generate_key(2048))


def _by_an_unknown_key(provider: Provider, claims: Claims) -> str:
    return jwt.encode({"alg": "RS256", "kid": "unknown"}, claims, RSAKey.generate_key(2048))


def _by_the_public_key(provider: Provider, claims: Claims) -> str:
    """HS256 with what everybody can read as its secret; made by hand, no library would."""
    said = ({"alg": "HS256", "kid": provider.key.kid}, claims)
    text = ".".join(encoded(json.dumps(each).encode()) for each in said)
    seal = hmac.digest(provider.key.as_pem(private=False), text.encode(), "sha256")
    return f"{text}.{encoded(seal)}"


def _by_our_secret(provider: Provider, claims: Claims) -> str:
    return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(SECRET))


def _changed_after(provider: Provider, claims: Claims) -> str:
    head, _, signature = provider.sign(claims).split(".")
    return f"{head}.{provider.sign(claims | {'sub': 'id-other'}).split('.')[1]}.{signature}"


LIES: dict[str, Callable[[Provider, Claims], str]] = {
    "another nonce": _with(nonce="another"),
    "no nonce": _without("nonce"),
    "for another service": _with(aud="another"),
    "for several, asked for by another": _with(aud=["dermastream", "another"], azp="another"),
    "for several, asked for by nobody": _with(aud=["dermastream", "another"]),
    "no audience": _without("aud"),
    "another issuer": _with(iss="http://127.0.0.1:1"),
    "expired": _with(exp=int(dt.datetime.now(dt.UTC).timestamp()) - 120),
    "never expires": _without("exp"),
    "of tomorrow": _with(iat=int(dt.datetime.now(dt.UTC).timestamp()) + 86_400),
    "of nobody": _without("sub"),
    "no name": _without("preferred_username"),
    "a name that is no text": _with(preferred_username=["noor"]),
    "signed by another key": _by_another_key,
    "signed by an unknown key": _by_an_unknown_key,
    "not signed": unsigned,
    "signed with the public key as a secret": _by_the_public_key,
    "signed with the shared secret": _by_our_secret,
    "changed after it was signed": _changed_after,
    "no token": lambda *_: "nothing",
}


@pytest.mark.parametrize("lie", LIES)
def test_token_that_does_not_hold_is_refused(client: TestClient, provider: Provider, lie: str):
    """Each token that is wrong in one way opens nothing, and the page does not tell why."""
    provider.forge = LIES[lie]
    assert refused(come_in(client, "id-noor"))
    assert client.get("/").status_code == 303
    provider.forge = None
    assert come_in(client, "id-noor").status_code == 303


def test_new_key_of_the_provider_is_learnt(client: TestClient, provider: Provider):
    """A provider that changes its key goes on being believed."""
    come_in(client, "id-noor")
    provider.key = RSAKey.generate_key(2048, auto_kid=True)
    assert come_in(client, "id-noor").status_code == 303


@pytest.mark.parametrize("query", ["code={code}&state=guessed", "code={code}", "state={state}", ""])
def test_answer_without_this_browsers_state_is_refused(client: TestClient, provider: Provider, query: str):
    """An answer that this browser did not ask for, or that has no code, never reaches the provider."""
    asked = provider.tokens_asked
    given = parse_qs(urlsplit(proven(to_provider(client), "id-noor")).query)
    code, state = given["code"][0], given["state"][0]
    assert refused(client.get("/login/provider/back?" + query.format(code=code, state=state)))
    assert provider.tokens_asked == asked


def test_answer_in_another_browser_is_refused(client: TestClient):
    """A link back that somebody else has prepared does not log one in as them."""
    back = proven(to_provider(client), "id-noor")
    other = TestClient(client.app, follow_redirects=False)
    assert refused(other.get(back))
    to_provider(other)
    assert refused(other.get(back))


def test_answer_is_good_once_and_for_ten_minutes(client: TestClient, clock: Clock):
    """The same answer again, or a late one, is refused."""
    back = proven(to_provider(client), "id-noor")
    cookie = client.cookies["dermastream_provider"]
    assert client.get(back).status_code == 303
    client.cookies.set("dermastream_provider", cookie)
    assert refused(client.get(back))
    late = proven(to_provider(client), "id-noor")
    clock.forward(minutes=11)
    assert refused(client.get(late))


def test_answer_of_another_provider_is_refused(client: TestClient, provider: Provider):
    """Where the answer says who gives it, it must be the provider that was asked (RFC 9207)."""
    asked = provider.tokens_asked
    assert refused(client.get(proven(to_provider(client), "id-noor") + "&iss=https://evil.example"))
    assert provider.tokens_asked == asked


def test_person_who_is_not_let_in_there(client: TestClient):
    """Who declines at the provider comes back to the form."""
    state = parse_qs(urlsplit(to_provider(client)).query)["state"][0]
    assert refused(client.get(f"/login/provider/back?error=access_denied&state={state}"))


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "/\\evil.example", "/logout?x"]
)
def test_leads_nowhere_else(client: TestClient, target: str):
    """Neither the address asked for nor a changed cookie leads away from our pages."""
    assert come_in(client, "id-noor", target).headers["location"] == "/"
    back = proven(to_provider(client), "id-noor")
    seed, begun, _ = client.cookies["dermastream_provider"].split(".", 2)
    client.cookies.set("dermastream_provider", f"{seed}.{begun}.https%3A%2F%2Fevil.example")
    assert refused(client.get(back))


def test_attempts_are_limited(client: TestClient):
    """One address cannot have us ask the provider without end."""
    answers = [client.get("/login/provider").status_code for _ in range(30)]
    assert answers[:20] == [303] * 20
    assert answers[-1] == 429


# ── a provider that is not as it should be ──────────────────────────────────────────────────────────────


@pytest.mark.parametrize("issuer", ["http://127.0.0.1:9", "{issuer}/", "{issuer}/elsewhere"])
def test_provider_that_is_not_there(settings: DashboardSettings, clock: Clock, issuer: str):
    """A provider that is away, or says it is another, leads nowhere; passwords go on working."""
    assert settings.openid is not None
    other = replace(settings.openid, issuer=issuer.format(issuer=settings.openid.issuer))
    with TestClient(create_app(replace(settings, openid=other), clock), follow_redirects=False) as client:
        answer = client.get("/login/provider")
        assert answer.status_code == 503
        assert "does not answer" in answer.text
        assert login(client, "manager").status_code == 303


# ── in a browser ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.browser
def test_in_a_browser(served: str, browser: Any):
    """A manager clicks through the provider's page to the overview; our policy lets her."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{served}/clinic?weeks=13")
    page.get_by_role("link", name="Sign in through your organisation").click()
    page.get_by_role("button", name="id-noor", exact=True).first.click()
    page.wait_for_url(f"{served}/clinic?weeks=13")
    assert "noor" in page.locator(".who").inner_text()
    kept = {each["name"]: each for each in context.cookies()}
    assert kept["dermastream_session"]["httpOnly"]
    assert "dermastream_provider" not in kept
    context.close()


# ── from the command line ───────────────────────────────────────────────────────────────────────────────


def test_account_without_a_password_from_the_command_line(tmp_path: Path):
    """Added without a password being made, listed as such, and noted; a reset names the rule."""
    path = tmp_path / "dashboard" / "accounts.sqlite"
    code, said = user(tmp_path, "add", "ann", "--role", "analyst", "--single-sign-on")
    assert (code, said) == (0, "ann: added as analyst, single sign-on\n")
    assert accounts.without_password(path) == {"ann"}
    assert "single sign-on" in user(tmp_path, "list")[1]
    code, said = user(tmp_path, "reset", "ann")
    assert (code, said.count("\n")) == (2, 1)
    assert "has no password" in said
    noted = [entry["what"] for entry in Audit(path.with_name("audit.sqlite")).newest(9)]
    assert noted == ["add ann as analyst of all, single sign-on"]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"oidc_issuer": "http://login.example"}, "DERMASTREAM_OIDC_ISSUER: must be https"),
        ({"oidc_issuer": "https://login.example"}, "DERMASTREAM_OIDC_CLIENT_ID"),
    ],
)
def test_settings_that_make_no_sense(given: dict[str, str], says: str):
    """A provider over an open line, or one that does not know us, is refused by the setting's name."""
    with pytest.raises(SettingsError, match=says):
        Settings.load(**given)
