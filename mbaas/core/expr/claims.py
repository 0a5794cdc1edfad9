"""What ``auth.*()`` gives for a caller, word for word as the SQL functions of that name do."""

from __future__ import annotations

import re
from typing import Any

from mbaas.core.expr.types import Claim
from mbaas.core.expr.values import json_text
from mbaas.core.identity import Identity

ABSENT = object()
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_INDEX = re.compile(r"-?\d{1,9}")


def claim(part: Claim, identity: Identity) -> Any:
    """uid, role, email, aal: text or ``None``. claim, jwt: a JSON value, ABSENT when there is none."""
    claims = identity.claims
    match part.kind:
        case "uid":
            found = _text(claims.get("sub"))
            return found.lower() if found is not None and _UUID.fullmatch(found) else None
        case "role":
            return identity.role
        case "email":
            return _text(claims.get("email"))
        case "aal":
            return _text(claims.get("aal")) or "aal1"
        case "jwt":
            return claims
        case "claim":
            return at(claims, (part.path or "").split("."))


def at(value: Any, path: list[str]) -> Any:
    """``jsonb #> path``."""
    for step in path:
        if isinstance(value, dict):
            value = value.get(step, ABSENT)
        elif isinstance(value, list) and _INDEX.fullmatch(step):
            index = int(step)
            value = value[index] if -len(value) <= index < len(value) else ABSENT
        else:
            return ABSENT
        if value is ABSENT:
            return ABSENT
    return value


def _text(value: Any) -> str | None:
    """``->>`` of a claim."""
    if value is None or isinstance(value, str):
        return value
    return json_text(value)
