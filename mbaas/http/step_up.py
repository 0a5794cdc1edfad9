"""Where the settings ask for a second factor, a token without it is nobody's: refused wherever a caller is asked for.

The refusal keeps who it was, so that the few routes by which one gets a second factor can let them in.
"""

from __future__ import annotations

from collections.abc import Callable

from mbaas.config.settings import AuthSettings
from mbaas.core.errors import Forbidden
from mbaas.core.identity import Identity
from mbaas.http.edge import Identify


class StepUpRequired(Forbidden):
    """A good token, of a session that has yet to prove a second factor."""

    code = "step_up_required"

    def __init__(self, identity: Identity) -> None:
        super().__init__(
            "this needs a second factor: the session is aal1",
            hint="enroll or verify a factor, and send the access token that gives",
        )
        self.identity = identity


def with_step_up(identify: Identify, settings: AuthSettings) -> Identify:
    """``identify`` that raises StepUpRequired as well, as ``mfa_policy`` wants it."""
    if settings.mfa_policy == "optional":
        return identify
    demands = _of_all if settings.mfa_policy == "required" else _of_roles(frozenset(settings.mfa_roles))

    def stepped_up(apikey: str | None, bearer: str | None, *, now: float) -> Identity:
        identity = identify(apikey, bearer, now=now)
        if identity.aal == "aal1" and identity.user_id is not None and demands(identity):
            raise StepUpRequired(identity)
        return identity

    return stepped_up


def _of_all(identity: Identity) -> bool:
    """Anonymous users have no account to protect, and could not enroll."""
    return identity.claims.get("is_anonymous") is not True


def _of_roles(wanted: frozenset[str]) -> Callable[[Identity], bool]:
    """By ``app_metadata.roles``, a list, and ``app_metadata.role``."""

    def demands(identity: Identity) -> bool:
        metadata = identity.claims.get("app_metadata")
        if not isinstance(metadata, dict):
            return False
        roles = metadata.get("roles")
        held = [*(roles if isinstance(roles, list) else [roles]), metadata.get("role")]
        return any(isinstance(role, str) and role in wanted for role in held)

    return demands
