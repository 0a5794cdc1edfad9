"""Tries that are counted: failures by account, by address and by the two together, for all nodes in one table.

Who gets it right writes nothing, unless there were failures of the same pair to forget. What is limited is first of all
the pair, so that nobody can lock an owner out from elsewhere; the account as a whole is closed only to addresses it has
no session from. Names of accounts count whether they exist or not. A try is counted while it is being checked, too, so
that many at once gain nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import ipaddress
import math
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Literal, TypeAlias

import msgspec

from mbaas.adapters.clock import Clock
from mbaas.adapters.postgres.database import Database
from mbaas.config.settings import ThrottleSettings
from mbaas.core.errors import RateLimited
from mbaas.core.observe import Observe, SecurityEvent, SignInFailed
from mbaas.core.sql.fragment import Statement
from mbaas.http.ratelimit import network_of
from mbaas.modules.auth.asked import Asked
from mbaas.modules.auth.audit import payload
from mbaas.modules.auth.errors import InvalidCredentials, OtpExpired

Purpose: TypeAlias = Literal["password", "code"]
_FAILURES = (InvalidCredentials, OtpExpired)

# What lies ahead was written before the clock was put back, and counts no more.
_READ = """
select key, failures, extract(epoch from since + $3::interval - $2::timestamptz) from auth.throttles
where key = any ($1::text[]) and $2::timestamptz between since and since + $3::interval
"""
# Where a limit of an account is reached, its audit hears of it: one row a window and limit, however many guess. In the
# statement that counts, so that who exists costs no commit of its own (docs/adr/0098).
_COUNT = """
with counted as (
    insert into auth.throttles as t (key, failures, since)
    select key, 1, $2::timestamptz from unnest($1::text[]) as key
    on conflict (key) do update set
        failures = case when $2::timestamptz between t.since and t.since + $3::interval then t.failures + 1 else 1 end,
        since = case when $2::timestamptz between t.since and t.since + $3::interval then t.since else $2 end
    returning key, failures, since
), told as (
    insert into auth.audit_log_entries (id, created_at, ip_address, payload)
    select gen_random_uuid(), $2::timestamptz, $7::text, $6::jsonb || jsonb_build_object('user_id', u.id)
    from auth.users as u
    where (u.email = $5::text or u.phone = $5::text) and exists (
        select from counted as c join unnest($1::text[], $4::bigint[]) as l (key, most) on l.key = c.key
        where c.failures = l.most
    )
)
select failures, extract(epoch from since + $3::interval - $2::timestamptz) from counted
"""
_CLEAR = "delete from auth.throttles where key = $1::text"
_KNOWN = """
select exists (
    select from auth.sessions as s join auth.users as u on u.id = s.user_id
    where (u.email = $1::text or u.phone = $1::text) and s.ip <<= $2::inet
)
"""
_FORGET = "delete from auth.throttles where since < $1::timestamptz"


class _Seen(msgspec.Struct, frozen=True):
    """Failures so far and seconds until they count no more."""

    count: int
    left_s: float


_NONE = _Seen(0, 0.0)


class Throttle:
    def __init__(self, *, database: Database, settings: ThrottleSettings, clock: Clock, observe: Observe) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock
        self._observe = observe
        self._at_work: Counter[str] = Counter()

    @contextlib.asynccontextmanager
    async def trying(self, purpose: Purpose, account: str, *, asked: Asked) -> AsyncIterator[None]:
        """A block in which a password or a code is checked. account: an address or number, whoever's.

        Counts and tells of InvalidCredentials and OtpExpired. Raises RateLimited before the block when there were too
        many.
        """
        network = _network(asked.ip)
        pair, whole = _key(purpose, "pair", account, network), _key(purpose, "account", account)
        address = _key("tries", "ip", network)
        limits = {pair: self._settings.pair, whole: self._settings.account, address: self._settings.ip}
        limits = {key: limit for key, limit in limits.items() if limit}
        if asked.identity.bypasses_rules:  # a server that speaks for many
            limits = {}
        seen = await self._read(sorted(limits)) if limits else {}
        for key, limit in limits.items():
            found = seen.get(key, _NONE)
            if found.count + self._at_work[key] >= limit and not (
                key == whole and await self._is_known(account, network)
            ):
                what = {pair: "with one account", whole: "with one account from many addresses"}
                self._observe(SecurityEvent("too_many_tries", network, f"{purpose}, {what.get(key, 'from there')}"))
                raise _limited(found.left_s or 1.0)
        self._at_work.update(limits.keys())
        try:
            yield
        except _FAILURES:
            self._observe(SignInFailed(purpose, network))
            told = {key: None if key == address else limit for key, limit in limits.items()}
            await self._count(told, asked, purpose=purpose, account=account)
            raise
        else:
            if seen.get(pair, _NONE).count:
                await self._database.fetch_row(Statement(_CLEAR, (pair,)))
        finally:
            self._at_work.subtract(limits.keys())
            self._at_work += Counter()  # drops what is at nothing

    async def message(self, *, asked: Asked) -> None:
        """Count something that makes an account or sends a message. Raises RateLimited beyond the limit."""
        limit = self._settings.messages
        if not limit or asked.identity.bypasses_rules:
            return
        ((count, left_s),) = await self._count({_key("messages", "ip", _network(asked.ip)): None}, asked)
        if count > limit:
            raise _limited(left_s)

    async def forget(self) -> None:
        """Drop what counts no more."""
        before = self._clock.now() - timedelta(seconds=self._settings.window_s)
        await self._database.fetch_row(Statement(_FORGET, (before.isoformat(),)))

    async def _read(self, keys: list[str]) -> dict[str, _Seen]:
        rows = await self._database.fetch_rows(Statement(_READ, self._args(keys)))
        return {str(key): _Seen(int(str(count)), float(str(left))) for key, count, left in rows}

    async def _count(
        self, limits: Mapping[str, int | None], asked: Asked, *, purpose: Purpose | None = None, account: str = ""
    ) -> list[tuple[int, float]]:
        """How often, and for how many seconds yet, of each name. limits: of which the audit of the account hears."""
        keys = sorted(limits)  # so that two who count the same ones do not wait for each other
        if not keys:
            return []
        most = tuple(None if limits[key] is None else str(limits[key]) for key in keys)
        entry = msgspec.json.encode(payload("login_throttled", asked, purpose=purpose)).decode()
        rows = await self._database.fetch_rows(
            Statement(_COUNT, (*self._args(keys), most, account, entry, asked.ip or ""))
        )
        return [(int(str(count)), float(str(left))) for count, left in rows]

    def _args(self, keys: list[str]) -> tuple[tuple[str, ...], str, str]:
        return tuple(keys), self._clock.now().isoformat(), f"{self._settings.window_s} seconds"

    async def _is_known(self, account: str, network: str) -> bool:
        """Whether that account has a session from there."""
        if network == _NOWHERE:
            return False
        row = await self._database.fetch_row(Statement(_KNOWN, (account, network)))
        return row is not None and row[0] == "t"


_NOWHERE = "unix"


def _network(ip: str | None) -> str:
    """What one customer has: an IPv4 address, the /64 of an IPv6 one.

    >>> _network("192.0.2.7"), _network("2001:db8:1:2:3::4")
    ('192.0.2.7/32', '2001:db8:1:2::/64')
    """
    if ip is None:
        return _NOWHERE
    network = ipaddress.ip_address(network_of(ip))
    return f"{network}/{32 if network.version == 4 else 64}"


def _key(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


def _limited(left_s: float) -> RateLimited:
    seconds = max(1, math.ceil(left_s))
    return RateLimited("Too many tries, wait before the next one", retry_after_s=seconds)
