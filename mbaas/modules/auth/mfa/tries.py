"""How often codes may be tried: of one account and from one address, counted by all nodes together.

A try is counted before the code is looked at, and of an account forgotten once a code was right. Three codes of a
million are right at a time, so a day of tries finds one with a chance of 1 in 6,000, of somebody who has the password.
"""

from __future__ import annotations

import hashlib
import ipaddress
import math
from datetime import datetime, timedelta

import msgspec

from mbaas.adapters.postgres.database import Database, Transaction
from mbaas.adapters.postgres.piccolo import compiled
from mbaas.core.sql.fragment import Statement
from mbaas.modules.auth.errors import TooManyTries
from mbaas.modules.auth.tables import MfaTries

_COUNT = """
insert into auth.mfa_tries as t (key, tries, until) values ($1::text, 1, $2::timestamptz + $3::interval)
on conflict (key) do update set
    tries = case when t.until <= $2::timestamptz then 1 else least(t.tries + 1, 1000000) end,
    until = case when t.until <= $2::timestamptz then excluded.until else t.until end
returning tries, ceil(extract(epoch from until - $2::timestamptz))
"""


class Limit(msgspec.Struct, frozen=True):
    """At most so many tries in a time."""

    name: str
    tries: int
    within_s: int


ACCOUNT = (Limit("quarter", 10, 900), Limit("day", 50, 86_400))
ADDRESS = (Limit("quarter", 100, 900),)


async def count_try(
    database: Database,
    user_id: str,
    ip: str | None,
    *,
    now: datetime,
    refusal: type[TooManyTries] = TooManyTries,
) -> None:
    """Count a try, or refuse it. Raises TooManyTries or what ``refusal`` names."""
    counted = [(f"account:{user_id}", limit) for limit in ACCOUNT]
    if ip is not None:
        counted += [(f"address:{_network(ip)}", limit) for limit in ADDRESS]
    for subject, limit in counted:
        args = (_key(subject, limit), now.isoformat(), f"{limit.within_s} seconds")
        row = await database.fetch_row(Statement(_COUNT, args))
        if row is not None and int(str(row[0])) > limit.tries:
            left = max(1, math.ceil(float(str(row[1]))))
            raise refusal(f"Too many codes were tried, try again in {left} seconds", retry_after_s=left)


async def forget_tries(transaction: Transaction, user_id: str) -> None:
    """A code was right: the account's tries before it do not count."""
    keys = [_key(f"account:{user_id}", limit) for limit in ACCOUNT]
    await transaction.fetch_row(compiled(MfaTries.delete().where(MfaTries.key.is_in(keys))))


async def forget_old_tries(database: Database, *, now: datetime) -> None:
    """Drop counts whose time is over by a day."""
    await database.fetch_row(compiled(MfaTries.delete().where(MfaTries.until < now - timedelta(days=1))))


def _key(subject: str, limit: Limit) -> str:
    return hashlib.sha256(f"{subject}:{limit.name}".encode()).hexdigest()


def _network(ip: str) -> str:
    """An IPv6 host has a network of its own to choose addresses from.

    >>> _network("2001:db8::1"), _network("192.0.2.1")
    ('2001:db8::/64', '192.0.2.1')
    """
    address = ipaddress.ip_address(ip)
    return str(ipaddress.ip_network(f"{ip}/64", strict=False)) if address.version == 6 else ip
