"""How many requests a second one address, user and key may make, in this process.

Token buckets in the form of the generic cell rate algorithm (ITU-T I.371): one number a name, the time at which its
bucket would be full again. What must hold over all processes (tries of a password) is counted in the database instead.
"""

from __future__ import annotations

import ipaddress
import math
from functools import lru_cache

from mbaas.config.settings import RateSettings
from mbaas.core.errors import RateLimited
from mbaas.core.identity import Identity

BURST_S = 2.0  # a full bucket holds what refills in this time
MAX_NAMES = 50_000  # of one kind; beyond, those not seen for longest are forgotten, which fills their buckets

GUARDED = frozenset(
    f"/auth/v1/{route}"
    for route in (
        "token",
        "signup",
        "otp",
        "magiclink",
        "recover",
        "resend",
        "verify",
        "invite",
        "passkeys/authentication/options",
        "passkeys/authentication/verify",
        "authorize",
        "callback",
    )
)
"""Routes where passwords and codes can be tried or mails be caused: a stricter bucket for each address."""


class Buckets:
    """One bucket a name."""

    def __init__(self, rate: float, *, max_names: int = MAX_NAMES) -> None:
        """rate: tokens a second, more than 0."""
        self._interval_s = 1.0 / rate
        self._max_names = max_names
        self._full_at: dict[str, float] = {}
        self._older: dict[str, float] = {}

    def take(self, name: str, now: float, count: int = 1) -> float:
        """Takes tokens and gives 0.0, or takes none and gives the seconds until there are enough.

        now: seconds of a monotonic clock.
        """
        full_at = self._full_at.get(name)
        if full_at is None:
            full_at = self._older.get(name, now)
        full_at = (now if full_at < now else full_at) + self._interval_s * count
        wait = full_at - now - BURST_S
        if wait > 1e-9:
            return wait
        self._full_at[name] = full_at
        if len(self._full_at) > self._max_names:
            self._older, self._full_at = self._full_at, {}
        return 0.0

    def __len__(self) -> int:
        return len(self._full_at) + len(self._older)


class RateLimiter:
    """All buckets of one server. Each method raises RateLimited when there is no token. any: whether there are any."""

    def __init__(self, settings: RateSettings) -> None:
        def buckets(rate: float) -> Buckets | None:
            return Buckets(rate) if settings.enabled and rate > 0 else None

        self._ip = buckets(settings.per_ip)
        self._user = buckets(settings.per_user)
        self._key = buckets(settings.per_key)
        self._guarded = buckets(settings.auth_per_ip)
        self.any = any(kind is not None for kind in (self._ip, self._user, self._key, self._guarded))
        self._service_keys: set[str] = set()

    def before_identity(self, ip: str, path: str, key: str | None, now: float) -> None:
        """By address, so that checking tokens cannot be used to wear us out.

        path: canonical, as the router sees it. A server that holds the service key speaks for many users from one
        address; it is limited by its key alone, once that key has been seen to hold.
        """
        if key is not None and key in self._service_keys:
            return
        if ":" in ip:
            ip = network_of(ip)
        if self._ip is not None and (wait := self._ip.take(ip, now)):
            raise _limited(wait)
        if self._guarded is not None and path in GUARDED and (wait := self._guarded.take(ip, now)):
            raise _limited(wait)

    def after_identity(
        self, identity: Identity, key: str | None, now: float, *, by_key: bool = False, count: int = 1
    ) -> None:
        """By user and by key.

        by_key: the key, not a token beside it, made the caller who it is. count: operations that the request stands
        for, for routes that take several at once.
        """
        if key is not None and self._key is not None and (wait := self._key.take(key, now, count)):
            raise _limited(wait)
        if identity.role == "service_role":
            if by_key and key is not None and len(self._service_keys) < 100:
                self._service_keys.add(key)
            return
        user = identity.user_id
        if user is not None and self._user is not None and (wait := self._user.take(user, now, count)):
            raise _limited(wait)

    def further(self, ip: str, identity: Identity, key: str | None, now: float, count: int) -> None:
        """For a request that stands for so many operations beside the one that it was counted as."""
        if not count:
            return
        trusted = key is not None and key in self._service_keys
        name = network_of(ip) if ":" in ip else ip
        if self._ip is not None and not trusted and (wait := self._ip.take(name, now, count)):
            raise _limited(wait)
        self.after_identity(identity, key, now, count=count)


@lru_cache(maxsize=4096)
def network_of(ip: str) -> str:
    """The /64 of an IPv6 address, since one customer has at least that; an IPv4 address inside one as itself.

    >>> network_of("2001:db8:1:2:3::4"), network_of("::ffff:192.0.2.7")
    ('2001:db8:1:2::', '192.0.2.7')
    """
    try:
        address = ipaddress.IPv6Address(ip)
    except ValueError:
        return ip
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Address(int(address) >> 64 << 64))


def _limited(wait_s: float) -> RateLimited:
    return RateLimited(
        "too many requests", retry_after_s=max(1, math.ceil(wait_s)), hint=f"try again in {math.ceil(wait_s)} s"
    )
