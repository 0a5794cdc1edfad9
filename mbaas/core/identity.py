"""Who is asking: the outcome of checking a key or token, and all that rules may know of the caller."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

Role: TypeAlias = Literal["anon", "authenticated", "service_role"]


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """The caller of one request.

    role: the database role it acts as. claims: the verified JWT payload (RFC 7519), ``{"role": "anon"}`` for a key.
    """

    role: Role
    claims: dict[str, Any] = {}  # msgspec copies mutable defaults

    @property
    def user_id(self) -> str | None:
        """The user's id (claim ``sub``), ``None`` for keys."""
        return self.claims.get("sub")

    @property
    def email(self) -> str | None:
        return self.claims.get("email")

    @property
    def aal(self) -> str:
        """Authenticator assurance level: ``aal1`` or ``aal2`` (NIST SP 800-63B)."""
        return self.claims.get("aal") or "aal1"

    @property
    def session_id(self) -> str | None:
        return self.claims.get("session_id")

    @property
    def bypasses_rules(self) -> bool:
        return self.role == "service_role"


ANON = Identity(role="anon", claims={"role": "anon"})
SERVICE = Identity(role="service_role", claims={"role": "service_role"})
