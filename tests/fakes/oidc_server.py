"""An OpenID Connect provider on loopback: discovery, keys, a page that asks, tokens, userinfo.

It follows Core 1.0, RFC 7636 (PKCE) and RFC 9207: a code is good once, for the client, the redirect
address and the verifier it was made for. Tests say who is at the browser with `person`, and how its
tokens are wrong with `forge` and `claims`.
"""

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import httpx
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

CLIENT_ID, CLIENT_SECRET = "altyn-test", "s3cret-of-the-client"
KEY = RSAKey.generate_key(2048, {"kid": "of-this-week", "use": "sig"})
ANNA = {"sub": "anna-1", "email": "anna@example.test", "email_verified": True, "name": "Anna"}


class _Talk(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def do_GET(self) -> None:
        url, idp = urlsplit(self.path), self.server
        idp.asked.append(url.path)
        if url.path in idp.broken:
            self._answer(*idp.broken[url.path])
        elif url.path == "/.well-known/openid-configuration":
            self._json(idp.discovery)
        elif url.path == "/jwks":
            self._json({"keys": [key.as_dict(private=False) for key in idp.keys]})
        elif url.path == "/authorize":
            self._answer(200, PAGE.format(query=url.query.replace("&", "&amp;")).encode())
        elif url.path == "/userinfo":
            known = self.headers.get("authorization", "") == f"Bearer {idp.access_token}"
            self._json(idp.userinfo if known else {"error": "invalid_token"}, 200 if known else 401)
        else:
            self._answer(404, b"")

    def do_POST(self) -> None:
        url, idp = urlsplit(self.path), self.server
        idp.asked.append(url.path)
        form = dict(parse_qsl(self.rfile.read(int(self.headers["content-length"])).decode()))
        if url.path in idp.broken:
            self._answer(*idp.broken[url.path])
        elif url.path == "/authorize":
            self.send_response(302)
            self.send_header("location", idp.approve(dict(parse_qsl(url.query))))
            self.send_header("content-length", "0")
            self.end_headers()
        elif url.path == "/token":
            self._json(*idp.exchange(form, self.headers.get("authorization", "")))
        else:
            self._answer(404, b"")

    def _json(self, what: Any, status: int = 200) -> None:
        self._answer(status, json.dumps(what).encode(), "application/json")

    def _answer(self, status: int, body: bytes, kind: str = "text/html", **headers: str) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing: a test reads what it wants to know."""


PAGE = """<!doctype html><html lang="en"><title>Fake provider</title>
<link rel="icon" href="data:,"><h1>Fake provider</h1>
<form method="post" action="/authorize?{query}"><button>Yes, it is me</button></form></html>"""


class FakeProvider(ThreadingHTTPServer):
    """`with FakeProvider() as idp:`; `asked` are the paths in the order in which they came."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Talk)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)
        self.reset()

    def reset(self) -> None:
        """Anna is at the browser, and everything is as it should be."""
        self.person: dict[str, Any] = dict(ANNA)
        self.claims: dict[str, Any] = {}
        self.forge: Callable[[dict[str, Any]], str] = self.sign
        self.keys = KeySet([KEY])
        self.takes_codes_again = False
        self.broken: dict[str, Any] = {}
        self.asked: list[str] = []
        self.codes: dict[str, dict[str, str]] = {}
        self.access_token = secrets.token_urlsafe(16)
        self.userinfo: dict[str, Any] = {}
        self.discovery: dict[str, Any] = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/jwks",
            "userinfo_endpoint": f"{self.url}/userinfo",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            "code_challenge_methods_supported": ["S256"],
        }

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    # The browser's side -----------------------------------------------------------------------

    def press_yes(self, address: str) -> str:
        """Look at the page that asks, agree, and see where the browser is sent back to."""
        with httpx.Client(trust_env=False) as browser:
            assert browser.get(address).status_code == 200
            return browser.post(address).headers["location"]

    def approve(self, query: dict[str, str]) -> str:
        """A code for what was asked; refused as Core 3.1.2.2 has it where that is not right."""
        assert query["client_id"] == CLIENT_ID
        assert query["response_type"] == "code"
        assert "openid" in query["scope"].split()
        assert query["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(16)
        self.codes[code] = query
        back = {"code": code, "state": query["state"], "iss": self.url}
        return f"{query['redirect_uri']}?{urlencode(back)}"

    # The client's side ------------------------------------------------------------------------

    def exchange(self, form: dict[str, str], authorization: str) -> tuple[dict[str, Any], int]:
        given = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        if authorization != f"Basic {given}":
            return {"error": "invalid_client"}, 401
        take = self.codes.get if self.takes_codes_again else self.codes.pop
        asked = take(form.get("code", ""), None)
        verifier = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(verifier).rstrip(b"=").decode()
        if (
            asked is None
            or form.get("grant_type") != "authorization_code"
            or form.get("redirect_uri") != asked["redirect_uri"]
            or challenge != asked["code_challenge"]
        ):
            return {"error": "invalid_grant"}, 400
        return {
            "access_token": self.access_token,
            "token_type": "Bearer",
            "expires_in": 300,
            "id_token": self.forge(self._claims(asked)),
        }, 200

    def _claims(self, asked: dict[str, str]) -> dict[str, Any]:
        now = int(time.time())
        claims = {
            "iss": self.url,
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 300,
            "nonce": asked["nonce"],
            **self.person,
            **self.claims,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def sign(self, claims: dict[str, Any]) -> str:
        return jwt.encode({"alg": "RS256", "kid": KEY.kid}, claims, KEY, algorithms=["RS256"])


def query_of(address: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
