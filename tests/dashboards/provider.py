"""A real OpenID provider on this machine: `oidc-provider-mock` over HTTP, which asks for PKCE's proof, too.

A test may have it lie: `forge` changes the token it is about to give.
"""

import base64
import hashlib
import io
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs

import werkzeug.serving
from joserfc import jwt
from joserfc.jwk import RSAKey
from oidc_provider_mock import User, app

Claims = dict[str, Any]
Forge = Callable[["Provider", Claims], str]


class Provider:
    """One provider. `challenges` are those of the attempts, by code; `forge` is null while it is honest."""

    def __init__(self, users: list[User]) -> None:
        self._app = app(user_claims=users, require_nonce=True)
        self._challenges: dict[str, str] = {}
        self.key = RSAKey.generate_key(2048, auto_kid=True)
        self.forge: Forge | None = None
        self.tokens_asked = 0
        self.issuer = ""

    def sign(self, claims: Claims, **header: Any) -> str:
        """A token with those claims, signed by the key that is published."""
        return jwt.encode({"alg": "RS256", "kid": self.key.kid} | header, claims, self.key)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        """The mock's own answers, but for keys, tokens and the proof."""
        match environ["PATH_INFO"]:
            case "/jwks":
                return _json(start_response, {"keys": [self.key.as_dict(private=False)]})
            case "/oauth2/authorize" if environ["REQUEST_METHOD"] == "POST":
                return self._authorized(environ, start_response)
            case "/oauth2/token":
                return self._token(environ, start_response)
        return self._app(environ, start_response)

    def _authorized(self, environ: dict[str, Any], start_response: Any) -> Any:
        asked = parse_qs(environ["QUERY_STRING"])
        assert asked["code_challenge_method"] == ["S256"]

        def remember(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            code = parse_qs(dict(headers).get("Location", "").partition("?")[2]).get("code")
            if code:
                self._challenges[code[0]] = asked["code_challenge"][0]
            return start_response(status, headers, *more)

        return self._app(environ, remember)

    def _token(self, environ: dict[str, Any], start_response: Any) -> Any:
        self.tokens_asked += 1
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        given = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        proof = encoded(hashlib.sha256(given["code_verifier"].encode()).digest())
        if self._challenges.get(given["code"]) != proof:
            return _json(start_response, {"error": "invalid_grant"}, "400 Bad Request")
        said: list[str] = []
        answer = b"".join(
            self._app(environ | {"wsgi.input": io.BytesIO(body)}, lambda status, *_: said.append(status))
        )
        if said[0][:3] != "200":
            return _json(start_response, json.loads(answer), said[0])
        given_out = json.loads(answer)
        claims = json.loads(_decoded(given_out["id_token"].split(".")[1]))
        given_out["id_token"] = (self.forge or Provider.sign)(self, claims)
        return _json(start_response, given_out)


def _json(start_response: Any, answer: Any, status: str = "200 OK") -> list[bytes]:
    start_response(status, [("Content-Type", "application/json")])
    return [json.dumps(answer).encode()]


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def encoded(part: bytes) -> str:
    """As a part of a token."""
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def unsigned(_: Provider, claims: Claims) -> str:
    """`alg: none`, as RFC 7519 writes it."""
    said = ({"alg": "none", "typ": "JWT"}, claims)
    return ".".join([*(encoded(json.dumps(each).encode()) for each in said), ""])


@contextmanager
def running(users: list[User]) -> Iterator[Provider]:
    """A provider that listens on a free port until the end."""
    provider = Provider(users)
    server = werkzeug.serving.make_server("127.0.0.1", 0, provider, threaded=True)
    provider.issuer = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield provider
    server.shutdown()
    thread.join(5)
    server.server_close()
