"""Proof Key for Code Exchange (RFC 7636): what a link gives is worth something only to the app that asked for it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Literal, cast

import msgspec

from mbaas.adapters.clock import Chance
from mbaas.adapters.postgres.database import Database, Transaction
from mbaas.adapters.postgres.piccolo import compiled
from mbaas.core.sql.fragment import Statement
from mbaas.modules.auth.errors import BadCodeVerifier, FlowStateExpired, FlowStateNotFound, ValidationFailed
from mbaas.modules.auth.tables import FlowState

CODE_LIFETIME = timedelta(minutes=5)
_CHALLENGE = re.compile(r"[A-Za-z0-9._~-]{43,128}")

_REDEEM = """
delete from auth.flow_state where code_hash = $1::text
returning user_id, code_challenge, code_challenge_method, authentication_method, expires_at <= $2::timestamptz, sealed
"""


class Challenge(msgspec.Struct, frozen=True):
    text: str
    method: Literal["s256", "plain"]


def parse_challenge(text: str | None, method: str | None) -> Challenge | None:
    """The challenge of a request, ``None`` when it has none. Raises ValidationFailed for half of one."""
    if not text and not method:
        return None
    if not text or not method:
        raise ValidationFailed("PKCE flow requires code_challenge_method and code_challenge")
    if method.lower() not in {"s256", "plain"}:
        raise ValidationFailed("code_challenge_method must be s256 or plain")
    if not _CHALLENGE.fullmatch(text):
        raise ValidationFailed("code_challenge must be 43 to 128 unreserved characters")
    return Challenge(text, cast(Literal["s256", "plain"], method.lower()))


def answers(challenge: Challenge, verifier: str) -> bool:
    """Whether the verifier is the one behind the challenge (RFC 7636 section 4.6).

    >>> answers(Challenge("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", "s256"),
    ...         "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
    True
    """
    given = verifier.encode("utf-8", "surrogatepass")
    if challenge.method == "s256":
        given = base64.urlsafe_b64encode(hashlib.sha256(given).digest()).rstrip(b"=")
    return hmac.compare_digest(given, challenge.text.encode())


class Redemption(msgspec.Struct, frozen=True):
    """What a code stood for. method: for the claim ``amr``. sealed: what was left for whoever redeems it."""

    user_id: str
    method: str
    sealed: str | None


async def issue_code(
    transaction: Transaction,
    user_id: str,
    challenge: Challenge,
    *,
    method: str,
    now: datetime,
    chance: Chance,
    seal: Callable[[str], str] | None = None,
) -> str:
    """A code for the app that knows the verifier. method: how the user proved who they are, for the claim ``amr``.

    seal: gives what is left for whoever redeems the code, which it is bound to.
    """
    code = chance.new_id()
    row = FlowState(
        id=chance.new_id(),
        user_id=user_id,
        code_hash=_hash(code),
        code_challenge=challenge.text,
        code_challenge_method=challenge.method,
        authentication_method=method,
        created_at=now,
        expires_at=now + CODE_LIFETIME,
        sealed=seal(code) if seal else None,
    )
    await transaction.fetch_row(compiled(FlowState.delete().where(FlowState.expires_at < now)))
    await transaction.fetch_row(compiled(FlowState.insert(row)))
    return code


async def redeem_code(database: Database, code: str, verifier: str, *, now: datetime) -> Redemption:
    """What is behind a code. It is gone afterwards, whatever came with it.

    Raises FlowStateNotFound, FlowStateExpired, BadCodeVerifier.
    """
    row = await database.fetch_row(Statement(_REDEEM, (_hash(code), now.isoformat())))
    if row is None:
        raise FlowStateNotFound
    user_id, text, method, authentication_method, expired = (str(column) for column in row[:5])
    if expired == "t":
        raise FlowStateExpired
    if not answers(Challenge(text, cast(Literal["s256", "plain"], method)), verifier):
        raise BadCodeVerifier
    return Redemption(user_id, authentication_method, row[5])


def _hash(code: str) -> str:
    return hashlib.sha256(code.encode("utf-8", "surrogatepass")).hexdigest()
