"""What every flow wants to know of a request, as a value."""

from __future__ import annotations

import msgspec

from mbaas.core.identity import Identity


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """identity: the caller. redirect_to: where links shall lead, checked already. ip, user_agent: for sessions.

    languages: what the caller's client wants messages in, the most wanted first. request_id: as logs have it.
    """

    identity: Identity
    redirect_to: str
    ip: str | None = None
    user_agent: str | None = None
    languages: tuple[str, ...] = ()
    request_id: str | None = None
