"""A provider of OpenID Connect that answers as a test says: rightly, unless it is told to lie."""

from __future__ import annotations

import base64
import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey

APP = "the app"


class Scripted:
    """person: what its tokens and userinfo say. lie: claims of the next tokens instead of the right ones; None takes one
    away. answers: whole answers by path, status and body, instead of the right ones.
    """

    def __init__(self) -> None:
        self.url = ""
        self.person: dict[str, Any] = {"sub": "alice", "email": "alice@example.com", "email_verified": True}
        self.lie: dict[str, Any] = {}
        self.metadata: dict[str, Any] = {}
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.asked: list[tuple[str, dict[str, str], dict[str, str]]] = []
        self.key = ECKey.generate_key("P-256", {"kid": "one", "use": "sig"})
        self.sign_with: Any = None
        self.alg, self.kid = "ES256", "one"
        self.codes: dict[str, dict[str, str]] = {}

    def code_for(self, address: str) -> str:
        """Somebody signed in at an address we sent them to: the code they come back with."""
        wanted = query(address)
        code = f"code-{len(self.codes)}-{time.monotonic_ns()}"
        self.codes[code] = wanted
        return code

    def id_token(self, **claims: Any) -> str:
        """As this provider signs one now."""
        now = int(time.time())
        told = {"iss": self.url, "aud": APP, "iat": now, "exp": now + 600, **self.person, **claims, **self.lie}
        told = {name: value for name, value in told.items() if value is not None}
        if self.alg == "none":
            return ".".join((part({"alg": "none", "kid": self.kid}), part(told), ""))
        key = self.sign_with or self.key
        return jwt.encode({"alg": self.alg, "kid": self.kid}, told, key, algorithms=[self.alg])

    def shared_secret(self) -> OctKey:
        """What a verifier that mistakes a public key for a secret would check with."""
        return OctKey.import_key(msgspec.json.encode(self.key.as_dict(private=False)))

    def answer(self, method: str, path: str, fields: dict[str, str], headers: dict[str, str]) -> tuple[int, bytes]:
        self.asked.append((path, fields, headers))
        if path in self.answers:
            return self.answers[path]
        if path == "/.well-known/openid-configuration":
            return 200, msgspec.json.encode(self._metadata())
        if path == "/jwks":
            return 200, msgspec.json.encode(KeySet([self.key]).as_dict(private=False))
        if path == "/userinfo":
            return 200, msgspec.json.encode(self.person)
        if path == "/token":
            return self._token(fields)
        return 404, b"{}"

    def _metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "userinfo_endpoint": f"{self.url}/userinfo",
            "jwks_uri": f"{self.url}/jwks",
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
            **self.metadata,
        }

    def _token(self, fields: dict[str, str]) -> tuple[int, bytes]:
        wanted = self.codes.pop(fields.get("code", ""), None)
        if wanted is None:
            return 400, b'{"error":"invalid_grant"}'
        if "code_challenge" in wanted:
            digest = hashlib.sha256(fields.get("code_verifier", "").encode()).digest()
            if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != wanted["code_challenge"]:
                return 400, b'{"error":"invalid_grant"}'
        given = {"access_token": "provider-access", "refresh_token": "provider-refresh", "token_type": "Bearer"}
        nonce = {"nonce": wanted["nonce"]} if "nonce" in wanted else {}
        return 200, msgspec.json.encode({**given, "id_token": self.id_token(**nonce)})


@contextmanager
def scripted_provider() -> Iterator[Scripted]:
    """Listening on loopback, for a block."""
    provider = Scripted()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            self._say(provider.answer("GET", parts.path, query(self.path), self._named()))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
            fields = {name: values[0] for name, values in parse_qs(body).items()}
            self._say(provider.answer("POST", urlsplit(self.path).path, fields, self._named()))

        def _named(self) -> dict[str, str]:
            return {name.lower(): text for name, text in self.headers.items()}

        def _say(self, answer: tuple[int, bytes]) -> None:
            self.send_response(answer[0])
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(answer[1])))
            self.end_headers()
            self.wfile.write(answer[1])

        def log_message(self, format: str, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        provider.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield provider
        server.shutdown()
        thread.join()


def query(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(value)).rstrip(b"=").decode()
