"""What a rule comes to for a role, before any row and any user is known."""

from __future__ import annotations

from functools import reduce
from typing import Any, Literal, TypeAlias

from mbaas.core.expr import types as t
from mbaas.core.identity import Role

Reach: TypeAlias = Literal["all", "some", "none"]
"""Of the rows: every one, those that meet the rule, not one."""
_Truths: TypeAlias = frozenset[bool | None]  # what an expression may yet come to

_ANY: _Truths = frozenset((True, False, None))
_UNKNOWN = object()
_TAKES_NULLS = frozenset({"is distinct from", "is not distinct from"})


def reach(rule: t.Expr, role: Role) -> Reach:
    """For any caller of the role; an anonymous one has no id and no address.

    >>> reach(t.Binary("=", t.Column("author"), t.Claim("uid")), "anon"), reach(t.TRUE, "anon")
    ('none', 'all')
    """
    if role == "service_role":
        return "all"
    truths = _truths(rule, role)
    if True not in truths:
        return "none"
    return "all" if truths == {True} else "some"


def _truths(part: t.Expr, role: Role) -> _Truths:
    match part:
        case t.Literal():
            return frozenset((part.value,)) if isinstance(part.value, bool | None) else _ANY
        case t.Guarded():
            return _truths(part.item, role) | {None}
        case t.And():
            return reduce(_and, (_truths(item, role) for item in part.items))
        case t.Or():
            return _not(reduce(_and, (_not(_truths(item, role)) for item in part.items)))
        case t.Not():
            return _not(_truths(part.item, role))
        case t.Binary():
            return _compared(part, _value(part.left, role), _value(part.right, role))
        case t.Is(what="null"):
            found = _value(part.item, role)
            return _ANY if found is _UNKNOWN else frozenset(((found is None) is not part.negated,))
        case t.In():
            return frozenset((None,)) if _value(part.item, role) is None else _ANY
        case t.Exists():
            never = part.select.where is not None and True not in _truths(part.select.where, role)
            return frozenset((False,)) if never else frozenset((True, False))
    return _ANY


def _value(part: t.Expr, role: Role) -> Any:
    """``None``: null."""
    match part:
        case t.Literal():
            return part.value
        case t.Claim(kind="role"):
            return role
        case t.Claim(kind="uid" | "email") if role == "anon":
            return None
        case t.Claim(kind="aal") if role == "anon":
            return "aal1"
        case t.Guarded() | t.Cast():
            return None if _value(part.item, role) is None else _UNKNOWN
    return _UNKNOWN


def _compared(part: t.Binary, left: Any, right: Any) -> _Truths:
    if part.op in _TAKES_NULLS:
        return _ANY
    if left is None or right is None:
        return frozenset((None,))
    if left is _UNKNOWN or right is _UNKNOWN or part.op not in {"=", "<>"}:
        return _ANY
    return frozenset(((left == right) is (part.op == "="),))


def _and(left: _Truths, right: _Truths) -> _Truths:
    return frozenset(_and_one(one, other) for one in left for other in right)


def _and_one(left: bool | None, right: bool | None) -> bool | None:
    if left is False or right is False:
        return False
    return None if left is None or right is None else True


def _not(truths: _Truths) -> _Truths:
    return frozenset(None if one is None else not one for one in truths)
