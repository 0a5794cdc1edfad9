"""Takes secrets out of what is logged: by the name of the field that holds them, and by how they look in a text.

Tokens, keys, passwords and codes must not be in logs at all; this catches those that come along in a header, a URL, a
message of a library or a stack trace.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from mbaas.http.respond import Reply

HIDDEN = "***"

_NAMES = frozenset(
    "password passwd pwd secret token jwt otp nonce apikey api_key authorization proxy_authorization cookie set_cookie "
    "credentials private_key signing_key encryption_key service_key anon_key code_verifier totp_code recovery_code "
    "token_hash hashed_token captcha_token x_signature dsn".split()
)
_NAME_ENDS = ("_token", "_secret", "_password", "_apikey", "_api_key", "_private_key", "_key_hash")

_PARAMETERS = (
    "apikey|api_key|access_token|refresh_token|id_token|provider_token|provider_refresh_token|token|token_hash|code|"
    "code_verifier|password|new_password|secret|client_secret|otp|nonce|signature|x-amz-signature|jwt|captcha_token|"
    "confirmation_token|recovery_token"
)
_WORDS = "password|passwd|secret|token|apikey|api_key|authorization|otp|[a-z_]+_(?:token|secret|password|key)"

_JWT = r"\beyJ[\w-]{4,}\.[\w-]+(?:\.[\w-]*)?"  # RFC 7519, RFC 7516
_KEY = r"\bsb_(?:secret|publishable)_[\w-]+"
_KEYS = re.compile(f"{_JWT}|{_KEY}".encode())
_LOOKS = re.compile(
    "|".join(
        (
            f"(?P<jwt>{_JWT})",
            f"(?P<key>{_KEY})",
            r"(?P<hash>\$(?:argon2\w*|2[aby]|scrypt)\$[^\s'\"]+)",
            r"(?P<pem>-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z))",
            r"(?P<scheme>\b(?:bearer|basic)\s+)[\w.~+/=-]{6,}",  # RFC 6750, RFC 7617
            r"(?P<user>://[^\s:/@]+:)[^\s@/]+(?=@)",  # RFC 3986 userinfo
            rf"(?P<query>(?:[?&;#]|\b)(?:{_PARAMETERS})=)[^&#\s'\"]+",
            rf"(?P<pair>['\"](?:{_WORDS})['\"]\s*[:=,]\s*b?)(?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")",
        )
    ),
    re.IGNORECASE | re.DOTALL,
)


def redact_text(text: str) -> str:
    """A text without the secrets in it.

    >>> redact_text("GET /verify?token=abc&type=signup")
    'GET /verify?token=***&type=signup'
    """
    return _LOOKS.sub(_hide, text)


def redact_answer(reply: Reply) -> Reply:
    """An error without the keys and tokens that a caller put where names and values belong.

    >>> redact_answer(Reply(400, b'{"message":"no sb_secret_abc"}')).body
    b'{"message":"no ***"}'
    """
    body = _KEYS.sub(HIDDEN.encode(), reply.body)
    return reply if body == reply.body else msgspec.structs.replace(reply, body=body)


def _hide(found: re.Match[str]) -> str:
    """What remains: the part that says what was hidden."""
    parts = found.groupdict()
    return (parts["scheme"] or parts["user"] or parts["query"] or parts["pair"] or "") + HIDDEN


def redact(value: Any, depth: int = 6) -> Any:
    """A value as logs may show it. Below ``depth`` levels nothing is shown."""
    if isinstance(value, str):
        return redact_text(value)
    if value is None or isinstance(value, int | float):
        return value
    if depth == 0:
        return "…"
    if isinstance(value, Mapping):
        return {
            key: HIDDEN if is_secret_name(str(key)) and item not in (None, "") else redact(item, depth - 1)
            for key, item in value.items()
        }
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str | bytes):
        name = value[0].decode("latin-1") if isinstance(value[0], bytes) else value[0]
        if is_secret_name(name):  # a header as ASGI and httpx have it
            return [name, HIDDEN]
    if isinstance(value, list | tuple | set | frozenset):
        return [redact(item, depth - 1) for item in value]
    if isinstance(value, bytes):
        return redact_text(value.decode("utf-8", "replace"))
    return redact_text(str(value))


def is_secret_name(name: str) -> bool:
    """Whether a field of that name holds a secret, however it is spelled.

    >>> is_secret_name("Set-Cookie"), is_secret_name("newPassword"), is_secret_name("title")
    (True, True, False)
    """
    plain = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).replace("-", "_").lower()
    return plain in _NAMES or plain.endswith(_NAME_ENDS)
