"""Log-in through an OpenID provider: authorization code flow with PKCE, state and nonce.

OpenID Connect Core 1.0, section 3.1; RFC 7636 (PKCE); RFC 9207 (the issuer in the answer). The server keeps
nothing between the two steps: state, nonce and verifier follow, under the service's secret, from a random
cookie, so an answer is good only in the browser that asked.
"""

import base64
import datetime as dt
import hashlib
import json
import secrets
import ssl
import threading
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet

from dashboards.settings import OpenId

ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
"""Signatures by a key that only the provider has: no `none`, and no secret shared with us."""
CLOCK_SKEW_SECONDS = 60
LONGEST_ATTEMPT = dt.timedelta(minutes=10)
"""From our page to the provider and back [assumption: time for a second factor]."""
_KEPT = dt.timedelta(hours=1)
"""How long the provider's addresses and keys are kept; an unknown key is asked for at once."""
_TIMEOUT_SECONDS = 10.0
_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


class Refused(Exception):
    """The provider's answer proves nobody; the words say why and hold nothing about the person."""


class Unreachable(Exception):
    """The provider does not answer, or not as its discovery document must."""


@dataclass(frozen=True)
class Identity:
    """Who the provider says this is: `subject` never changes hands, `name` (the chosen claim) may."""

    issuer: str
    subject: str
    name: str


@dataclass(frozen=True)
class Attempt:
    """One log-in on its way, as the browser's cookie keeps it. `begun` is in seconds since 1970."""

    seed: str
    begun: int
    target: str

    @classmethod
    def begin(cls, target: str, now: dt.datetime) -> "Attempt":
        return cls(secrets.token_urlsafe(32), int(now.timestamp()), target)

    @classmethod
    def parse(cls, cookie: str, now: dt.datetime) -> "Attempt | None":
        """Null for what is none, or has taken too long."""
        seed, _, rest = cookie.partition(".")
        begun, _, target = rest.partition(".")
        if len(seed) < 43 or not (begun.isascii() and begun.isdigit() and len(begun) < 12):
            return None
        age = now.timestamp() - int(begun)
        recent = -CLOCK_SKEW_SECONDS <= age <= LONGEST_ATTEMPT.total_seconds()
        return cls(seed, int(begun), urllib.parse.unquote(target)) if recent else None

    @property
    def cookie(self) -> str:
        return f"{self.seed}.{self.begun}.{urllib.parse.quote(self.target, safe='')}"


class Provider:
    """The provider of one service. `back` is the address it sends readers back to; `clock` gives UTC."""

    def __init__(self, settings: OpenId, back: str, clock: Callable[[], dt.datetime]) -> None:
        self._settings = settings
        self._back = back
        self._clock = clock
        self._http = httpx.Client(
            timeout=_TIMEOUT_SECONDS,
            verify=ssl.create_default_context(cafile=settings.cafile) if settings.cafile else True,
        )
        self._kept: dict[str, tuple[dt.datetime, dict[str, Any]]] = {}
        self._lock = threading.Lock()

    def login_url(self, *, state: str, nonce: str, verifier: str) -> str:
        """Where the reader proves who they are. Raises Unreachable."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=")
        return _with_query(
            self._endpoint("authorization_endpoint"),
            response_type="code",
            client_id=self._settings.client_id,
            redirect_uri=self._back,
            scope="openid profile email",
            state=state,
            nonce=nonce,
            code_challenge=challenge.decode(),
            code_challenge_method="S256",
        )

    def logout_url(self) -> str | None:
        """Where the reader ends the provider's own session; null where it names no such place."""
        try:
            return _with_query(self._endpoint("end_session_endpoint"), client_id=self._settings.client_id)
        except Unreachable:
            return None

    def identity(self, code: str, *, nonce: str, verifier: str) -> Identity:
        """Who the code stands for: it is changed for a token, and the token is checked.

        Raises Refused or Unreachable.
        """
        claims = self._claims(self._token(code, verifier), nonce)
        name = claims.get(self._settings.account_claim)
        if not isinstance(name, str) or not name:
            raise Refused(f"the token has no {self._settings.account_claim}")
        if self._settings.account_claim == "email" and claims.get("email_verified") is not True:
            raise Refused("the address is not verified")
        return Identity(claims["iss"], claims["sub"], name)

    def _token(self, code: str, verifier: str) -> str:
        """The id_token for that code."""
        settings = self._settings
        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._back,
            "code_verifier": verifier,
            "client_id": settings.client_id,
        }
        headers = {"Accept": "application/json"}
        methods = self._metadata().get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        if settings.client_secret and "client_secret_basic" in methods:
            headers["Authorization"] = _basic(settings.client_id, settings.client_secret)
        elif settings.client_secret:
            fields["client_secret"] = settings.client_secret
        try:
            answer = self._http.post(self._endpoint("token_endpoint"), data=fields, headers=headers)
            token = answer.json().get("id_token") if answer.is_success else None
        except (httpx.HTTPError, json.JSONDecodeError, AttributeError) as error:
            raise Unreachable(f"token endpoint: {type(error).__name__}") from None
        if not isinstance(token, str):
            raise Refused("the provider gives no token for that code")
        return token

    def _claims(self, token: str, nonce: str) -> dict[str, Any]:
        """What the token says, once signature, issuer, audience, time and nonce hold."""
        asked = jwt.JWTClaimsRegistry(
            now=int(self._clock().timestamp()),
            leeway=CLOCK_SKEW_SECONDS,
            iss={"essential": True, "value": self._settings.issuer},
            aud={"essential": True, "value": self._settings.client_id},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        try:
            claims = self._decoded(token)
            asked.validate(claims)
        except (JoseError, ValueError) as error:
            raise Refused(f"the token does not hold: {type(error).__name__}") from None
        others = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if claims.get("azp", None if others else self._settings.client_id) != self._settings.client_id:
            raise Refused("the token was made for another service")
        return claims

    def _decoded(self, token: str) -> dict[str, Any]:
        try:
            return jwt.decode(token, self._keys(), algorithms=ALGORITHMS).claims
        except InvalidKeyIdError:  # the provider may have a new key
            self._forget("jwks_uri")
            return jwt.decode(token, self._keys(), algorithms=ALGORITHMS).claims

    # ── what the provider publishes ─────────────────────────────────────────────────────────────────────

    def _keys(self) -> KeySet:
        published = self._document("jwks_uri", self._endpoint("jwks_uri"))
        try:
            return KeySet.import_key_set({"keys": published["keys"]})
        except (JoseError, KeyError, TypeError, ValueError) as error:
            raise Unreachable(f"its keys cannot be read: {type(error).__name__}") from None

    def _endpoint(self, name: str) -> str:
        """An address of the provider: https, but on this machine."""
        address = self._metadata().get(name)
        if not isinstance(address, str) or not is_safe(address):
            raise Unreachable(f"its discovery document names no {name} with https")
        return address

    def _metadata(self) -> dict[str, Any]:
        issuer = self._settings.issuer
        found = self._document("metadata", issuer.rstrip("/") + "/.well-known/openid-configuration")
        if found.get("issuer") != issuer:
            self._forget("metadata")
            raise Unreachable("its discovery document is another issuer's")
        return found

    def _document(self, name: str, address: str) -> dict[str, Any]:
        """A JSON object of the provider, kept for a while."""
        with self._lock:
            at, found = self._kept.get(name, (None, {}))
            if at is not None and self._clock() - at < _KEPT:
                return found
        try:
            answer = self._http.get(address).raise_for_status().json()
        except (httpx.HTTPError, httpx.InvalidURL, json.JSONDecodeError) as error:
            raise Unreachable(f"{name}: {type(error).__name__}") from None
        if not isinstance(answer, dict):
            raise Unreachable(f"{name} is no JSON object")
        with self._lock:
            self._kept[name] = (self._clock(), answer)
        return answer

    def _forget(self, name: str) -> None:
        with self._lock:
            self._kept.pop(name, None)


def is_safe(address: str) -> bool:
    """Whether what goes there is encrypted, or stays on this machine."""
    parts = urllib.parse.urlsplit(address)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _THIS_MACHINE)


def _with_query(address: str, **values: str) -> str:
    return f"{address}{'&' if '?' in address else '?'}{urllib.parse.urlencode(values)}"


def _basic(name: str, secret: str) -> str:
    """RFC 6749, 2.3.1: both are form-encoded before they are joined."""
    joined = f"{urllib.parse.quote_plus(name)}:{urllib.parse.quote_plus(secret)}"
    return "Basic " + base64.b64encode(joined.encode()).decode()
