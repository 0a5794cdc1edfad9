"""Refresh tokens that are kept nowhere: a session's id and a counter, under a key of the server.

Token ``n`` of a session is recomputed whenever it is wanted, so the current one can be given again to a client that
lost it, and a copy of the database holds none. Turning a token is one UPDATE of one row: of any number of requests that
come at once, one moves the counter and all get the same successor (docs/adr/0041).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import struct
import uuid
from datetime import datetime

import msgspec

from mbaas.adapters.postgres.database import Database
from mbaas.core.sql.fragment import Statement
from mbaas.modules.auth.asked import Asked
from mbaas.modules.auth.errors import RefreshTokenNotFound, SessionExpired, ValidationFailed
from mbaas.modules.auth.objects import User, parse_user

_FORM = struct.Struct(">B16sI")
_VERSION = 1
_MAC_BYTES = 24
_LENGTH = 60  # characters: 45 bytes in base64url
_OPAQUE = re.compile(r"[a-z0-9]{12}")  # GoTrue's own older form, none of which is ours
# Enough of the past to know every token of the last seconds; who refreshes more often falls out of the grace earlier.
_REMEMBERED = 32

_TURN = """
with turned as (
    update auth.sessions set
        refresh_counter = refresh_counter + case when refresh_counter = $2::bigint then 1 else 0 end,
        rotated_at = case
            when refresh_counter = $2::bigint
            then (rotated_at || $3::timestamptz)[greatest(cardinality(rotated_at) + 2 - $5::integer, 1):]
            else rotated_at
        end,
        user_agent = case when refresh_counter = $2::bigint then coalesce($7::text, user_agent) else user_agent end,
        ip = case when refresh_counter = $2::bigint then coalesce($8::inet, ip) else ip end,
        refreshed_at = case when refresh_counter = $2::bigint then $3::timestamptz else refreshed_at end,
        updated_at = case when refresh_counter = $2::bigint then $3::timestamptz else updated_at end
    where id = $1::uuid
        and ($6::interval is null or coalesce(refreshed_at, created_at) > $3::timestamptz - $6::interval)
    returning user_id, refresh_counter, first_counter, rotated_at, not_after, aal, amr
)
select
    t.refresh_counter,
    coalesce(
        t.rotated_at[cardinality(t.rotated_at) - (t.refresh_counter - 1 - $2::bigint)::integer]
            > $3::timestamptz - $4::interval,
        false
    ),
    coalesce(t.not_after <= $3::timestamptz, false),
    t.aal,
    t.amr,
    auth.user_object(u),
    $2::bigint < t.first_counter
from turned as t
join auth.users as u on u.id = t.user_id
"""


_THERE = "select 1 from auth.sessions where id = $1::uuid"


def refresh_token(session_id: str, counter: int, key: bytes) -> str:
    """Token ``counter`` of a session. key: 32 bytes that only this server has."""
    body = _FORM.pack(_VERSION, uuid.UUID(session_id).bytes, counter)
    return base64.urlsafe_b64encode(body + _mac(body, key)).decode()


def parse_refresh_token(text: str, key: bytes) -> tuple[str, int]:
    """Session and counter of a token of ours. Raises ValidationFailed for what is no token, RefreshTokenNotFound.

    >>> key = bytes(32)
    >>> parse_refresh_token(refresh_token("7f1b2c5e-0000-4000-8000-000000000001", 7, key), key)
    ('7f1b2c5e-0000-4000-8000-000000000001', 7)
    """
    if _OPAQUE.fullmatch(text):
        raise RefreshTokenNotFound
    try:
        raw = base64.b64decode(text, altchars=b"-_", validate=True) if len(text) == _LENGTH else b""
    except ValueError:
        raw = b""
    body, mac = raw[: _FORM.size], raw[_FORM.size :]
    if not body or body[0] != _VERSION:
        raise ValidationFailed("Refresh token is not valid")
    if not hmac.compare_digest(mac, _mac(body, key)):
        raise RefreshTokenNotFound
    _, session, counter = _FORM.unpack(body)
    return str(uuid.UUID(bytes=session)), counter


class Turned(msgspec.Struct, frozen=True):
    """What became of a refresh. counter: the current token's. reused: an old token came back; nothing was turned."""

    session_id: str
    counter: int
    reused: bool
    expired: bool
    aal: str
    amr: list[dict[str, object]]
    user: User


async def turn(
    database: Database, session_id: str, counter: int, *, now: datetime, grace_s: int, idle_s: int, asked: Asked
) -> Turned:
    """Use token ``counter`` of a session: the current one moves on, its parent and recent ones find it moved.

    idle_s: after which an unused session has expired; 0: never. asked: where the session is used from now.

    Raises RefreshTokenNotFound when the session has ended, and for a token from before it was raised to ``aal2``,
    SessionExpired when it was unused for too long.
    """
    idle = f"{idle_s} seconds" if idle_s else None
    when, grace = now.isoformat(), f"{grace_s} seconds"
    args = (session_id, str(counter), when, grace, str(_REMEMBERED), idle, asked.user_agent, asked.ip)
    row = await database.fetch_row(Statement(_TURN, args))
    if row is None:
        if idle and await database.fetch_row(Statement(_THERE, (session_id,))) is not None:
            raise SessionExpired
        raise RefreshTokenNotFound
    current, in_grace, expired, aal, amr, user, outdated = (str(column) for column in row)
    if outdated == "t":  # from before the session was raised to aal2, which it must not give
        raise RefreshTokenNotFound
    behind = int(current) - counter
    if behind < 1:  # a counter from before the database was restored to an earlier time
        raise RefreshTokenNotFound
    return Turned(
        session_id=session_id,
        counter=int(current),
        reused=behind > 1 and in_grace != "t",
        expired=expired == "t",
        aal=aal,
        amr=msgspec.json.decode(amr, type=list[dict[str, object]]),
        user=parse_user(user),
    )


def _mac(body: bytes, key: bytes) -> bytes:
    return hmac.new(key, body, hashlib.sha256).digest()[:_MAC_BYTES]
