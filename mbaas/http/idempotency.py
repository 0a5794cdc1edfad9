"""``Idempotency-Key`` (draft-ietf-httpapi-idempotency-key-header): a write that is sent again is answered again.

The answer is kept in the transaction of the write, so there is exactly one effect, whatever was lost on the way. Only
what was done is kept: a write that was refused left nothing behind, and may be tried again with the same key.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeAlias

import msgspec

from mbaas.adapters.postgres.database import Database
from mbaas.adapters.postgres.enlisted import Enlisted, enlisting
from mbaas.adapters.postgres.kept_answers import KeptAnswer, claim, keep
from mbaas.config.settings import IdempotencySettings
from mbaas.core.errors import IdempotencyKeyInvalid, IdempotencyKeyReused, TooLarge
from mbaas.core.identity import Identity
from mbaas.http.heads import head_of
from mbaas.http.respond import Reply, Scope

HEADER = b"idempotency-key"
WRITES = frozenset(("POST", "PUT", "PATCH", "DELETE"))
Work: TypeAlias = Callable[[Enlisted], Awaitable[Reply]]
"""Does the write in the transaction that it is given."""

_KEY = re.compile(rb"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?")
# What else of a request decides on its answer.
_HEADERS = (b"accept", b"accept-profile", b"content-profile", b"content-type", b"prefer")
_OF_ONE_TOKEN = frozenset(("exp", "iat", "nbf", "jti"))
_REPLAYED = (b"idempotency-replayed", b"true")


class Idempotency:
    """Keeps and repeats the answers of one database."""

    def __init__(self, database: Database, settings: IdempotencySettings) -> None:
        self._database = database
        self._settings = settings

    async def once(self, scope: Scope, body: bytes, identity: Identity, work: Work) -> Reply:
        """What ``work`` gives, or gave when the same request of that caller came before.

        The scope has the header. Raises what ``work`` raises, then nothing is kept; IdempotencyKeyInvalid,
        IdempotencyKeyReused, IdempotencyInProgress; TooLarge for an answer that is too long to keep, and rolls back.
        """
        fields = head_of(scope).fields
        answer_id = _digest((_whose(identity), read_key(fields[HEADER])))
        headers = (fields.get(name, b"") for name in _HEADERS)
        path: str = scope["state"].get("path", scope["path"])
        fingerprint = _digest((scope["method"].encode(), path.encode(), scope["query_string"], *headers, body))
        async with enlisting(self._database, identity) as door:
            kept = await claim(door.outer, answer_id)
            if kept is not None:
                if kept.fingerprint != fingerprint:
                    raise IdempotencyKeyReused(
                        "this Idempotency-Key came before with another request", hint="a new request takes a new key"
                    )
                return _repeated(kept)
            reply = await work(door)
            await keep(door.outer, answer_id, self._kept(reply, fingerprint), keep_s=self._settings.keep_s)
        return reply

    def _kept(self, reply: Reply, fingerprint: bytes) -> KeptAnswer:
        most = self._settings.max_answer
        if len(reply.body) > most:
            raise TooLarge(
                f"an answer that is kept for its Idempotency-Key has at most {most} bytes; nothing was written",
                hint="ask for less by select or by Prefer: return=minimal, or send smaller parts",
            )
        lines = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in reply.headers]
        head = msgspec.json.encode((reply.content_type.decode("latin-1"), lines)).decode()
        return KeptAnswer(fingerprint=fingerprint, status=reply.status, head=head, body=reply.body)


def read_key(value: bytes) -> bytes:
    """The key of a header, with quotes (RFC 8941 section 3.3.3) or without. Raises IdempotencyKeyInvalid.

    >>> read_key(b'"8e03978e"'), read_key(b"8e03978e")
    (b'8e03978e', b'8e03978e')
    """
    key = value[1:-1] if len(value) > 1 and value[:1] == value[-1:] == b'"' else value
    if not _KEY.fullmatch(key):
        raise IdempotencyKeyInvalid(
            "the Idempotency-Key cannot be used as one", hint="1 to 255 printable ASCII characters, best a random UUID"
        )
    return key


def _whose(identity: Identity) -> bytes:
    """Tells callers apart: a user by id, in whatever session; else what all tokens of that kind say."""
    who: Any = identity.user_id
    if who is None:
        who = sorted((name, claim) for name, claim in identity.claims.items() if name not in _OF_ONE_TOKEN)
    return msgspec.json.encode((identity.role, who))


def _digest(parts: Iterable[bytes]) -> bytes:
    """Of the parts and where each ends."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(b"%d:" % len(part))
        digest.update(part)
    return digest.digest()


def _repeated(kept: KeptAnswer) -> Reply:
    kind, lines = msgspec.json.decode(kept.head, type=tuple[str, list[tuple[str, str]]])
    headers = tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in lines)
    return Reply(kept.status, kept.body, (*headers, _REPLAYED), kind.encode("latin-1"))
