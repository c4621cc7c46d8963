"""A company's identity provider on 127.0.0.1: OpenID Connect with a code, signed tokens and PKCE.

It asks nobody for a password: whoever comes is the person that the test last seated before it.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import threading
import time
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT_ID: Final = "dashboard"
CLIENT_SECRET: Final = "between the two"
Claims = Mapping[str, Any]


def new_key() -> RSAKey:
    """Return a key to sign tokens with."""
    return RSAKey.generate_key(2048, {"use": "sig"}, auto_kid=True)


@dataclass
class IdentityProvider:
    """Who sits before it, what it answers, and what it was asked."""

    issuer: str
    redirect_uri: str
    """The only address that it sends anybody back to."""
    person: Claims | None = None
    """What it says of who comes; None: they turn back without logging in."""
    said: Claims = field(default_factory=dict)
    """Claims of a token in place of the true ones: issuer, audience, times, nonce."""
    published: RSAKey = field(default_factory=new_key)
    signing: RSAKey | None = None
    """Another key than the one it publishes: what somebody else would sign with."""
    asked: list[str] = field(default_factory=list)
    """The path of each request."""
    _given: dict[str, dict[str, str]] = field(default_factory=dict)
    """Code -> what it was asked for with; a code is good for once."""

    def discovery(self) -> dict[str, Any]:
        """Answer where everything is."""
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            "end_session_endpoint": f"{self.issuer}/logout",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["S256"],
        }

    def authorize(self, asked: dict[str, str]) -> str | None:
        """Return where to send who asks to log in; None where the dashboard asks wrongly."""
        is_ours = (asked.get("client_id"), asked.get("redirect_uri")) == (
            CLIENT_ID, self.redirect_uri,
        )  # fmt: skip
        is_code = asked.get("response_type") == "code" and "openid" in asked.get("scope", "")
        if not (is_ours and is_code and asked.get("code_challenge_method") == "S256"):
            return None
        if self.person is None:
            return f"{self.redirect_uri}?" + urlencode(
                {"error": "access_denied", "state": asked["state"]}
            )
        code = secrets.token_urlsafe(16)
        self._given[code] = asked
        return f"{self.redirect_uri}?{urlencode({'code': code, 'state': asked['state']})}"

    def token(self, asked: dict[str, str], basic: str) -> dict[str, Any] | None:
        """Exchange a code; None unless the dashboard proves that it is the one that asked."""
        first = self._given.pop(asked.get("code", ""), None)
        verifier = hashlib.sha256(asked.get("code_verifier", "").encode()).digest()
        challenge = urlsafe_b64encode(verifier).rstrip(b"=").decode()
        is_client = basic == f"{CLIENT_ID}:{CLIENT_SECRET}"
        if first is None or not is_client or first["code_challenge"] != challenge:
            return None
        now = int(time.time())
        claims = {
            "iss": self.issuer, "aud": CLIENT_ID, "sub": "1", "iat": now, "exp": now + 300,
            "nonce": first["nonce"], **(self.person or {}), **self.said,
        }  # fmt: skip
        header = {"alg": "RS256", "kid": self.published.kid}
        signed = jwt.encode(header, claims, self.signing or self.published)
        return {"access_token": "x", "token_type": "Bearer", "id_token": signed}


class _Pages(BaseHTTPRequestHandler):
    provider: IdentityProvider

    def do_GET(self) -> None:
        """Answer a browser, or the dashboard that looks where everything is."""
        parts = urlsplit(self.path)
        asked = dict(parse_qsl(parts.query))
        self.provider.asked.append(parts.path)
        match parts.path:
            case "/.well-known/openid-configuration":
                self._answer(self.provider.discovery())
            case "/jwks":
                self._answer({"keys": [self.provider.published.as_dict(private=False)]})
            case "/authorize":
                self._send_on(self.provider.authorize(asked))
            case "/logout":
                self._send_on(asked.get("post_logout_redirect_uri"))
            case _:
                self.send_error(HTTPStatus.NOT_FOUND)

    def do_POST(self) -> None:
        """Answer the dashboard that holds a code."""
        parts = urlsplit(self.path)
        self.provider.asked.append(parts.path)
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        basic = b64decode(self.headers.get("Authorization", "").removeprefix("Basic ")).decode()
        self._answer(self.provider.token(dict(parse_qsl(body)), basic))

    def _answer(self, content: Mapping[str, Any] | None) -> None:
        body = json.dumps(content or {"error": "invalid_grant"}).encode()
        self.send_response(HTTPStatus.OK if content else HTTPStatus.BAD_REQUEST)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _send_on(self, place: str | None) -> None:
        if place is None or not place.startswith(self.provider.redirect_uri):
            self.send_error(HTTPStatus.BAD_REQUEST)
            return
        self.send_response(HTTPStatus.FOUND)
        self.send_header("Location", place)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def identity_provider(redirect_uri: str) -> Iterator[IdentityProvider]:
    """Start a provider that knows one dashboard."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Pages)
    issuer = f"http://127.0.0.1:{server.server_address[1]}"
    provider = IdentityProvider(issuer, redirect_uri)
    server.RequestHandlerClass = type("Pages", (_Pages,), {"provider": provider})
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
