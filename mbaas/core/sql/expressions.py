"""Stand-in until the real one is merged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from mbaas.core.expr import types as t
from mbaas.core.expr.walk import walk
from mbaas.core.identity import Identity
from mbaas.core.sql.fragment import Fragment, concat, identifier, join, quote_text, sql, value

_RAISING = frozenset({"~", "~*", "like", "ilike"})


def may_raise(expr: t.Expr) -> bool:
    for part in walk(expr):
        if isinstance(part, t.TextSearch | t.Cast):
            return True
        if isinstance(part, t.Binary | t.Quantified) and part.op in _RAISING:
            return True
        if isinstance(part, t.Value) and part.type.startswith("text::"):
            return True
    return False


def render_expr(expr: Any, *, column: Callable[[t.Column], Fragment], identity: Identity | None) -> Fragment:
    def go(e: Any) -> Fragment:
        if isinstance(e, t.Column):
            return column(e) if e.scope == "" else identifier(e.scope, e.name)
        if isinstance(e, t.Literal):
            if e.value is None or isinstance(e.value, bool):
                text = str(e.value).lower() if e.value is not None else "null"
            elif isinstance(e.value, str):
                text = quote_text(e.value)
            else:
                text = str(e.value)
            return sql(text + (f"::{e.type}" if e.type else ""))
        if isinstance(e, t.Value):
            return value(e.text, e.type)
        if isinstance(e, t.Claim):
            assert identity is not None
            if e.kind == "uid":
                return value(identity.user_id, "uuid")
            if e.kind == "role":
                return value(identity.role, "text")
            if e.kind == "jwt":
                return value(msgspec.json.encode(identity.claims).decode(), "jsonb")
            return value(identity.aal if e.kind == "aal" else identity.email, "text")
        if isinstance(e, t.Json):
            step = quote_text(e.step) if isinstance(e.step, str) else str(e.step)
            return concat(go(e.base), "->>" if e.as_text else "->", step)
        if isinstance(e, t.And):
            return concat("(", join(" and ", map(go, e.items)), ")")
        if isinstance(e, t.Or):
            return concat("(", join(" or ", map(go, e.items)), ")")
        if isinstance(e, t.Not):
            return concat("(not ", go(e.item), ")")
        if isinstance(e, t.Binary):
            return concat("(", go(e.left), f" {e.op} ", go(e.right), ")")
        if isinstance(e, t.Quantified):
            return concat("(", go(e.left), f" {e.op} {e.quantifier} (", go(e.right), "))")
        if isinstance(e, t.Is):
            return concat("(", go(e.item), f" is {'not ' * e.negated}{e.what})")
        if isinstance(e, t.In):
            return concat("(", go(e.item), " in (", join(", ", map(go, e.items)), "))") if e.items else sql("false")
        if isinstance(e, t.Cast):
            return concat("(", go(e.item), f")::{e.type}")
        if isinstance(e, t.Call):
            return concat(e.name, "(", join(", ", map(go, e.args)), ")")
        if isinstance(e, t.TextSearch):
            config = concat(value(e.config, "regconfig"), ", ") if e.config else sql("")
            item = concat("to_tsvector(", config, go(e.item), ")") if e.wrap else go(e.item)
            return concat("(", item, f" @@ {e.parser}(", config, go(e.query), "))")
        if isinstance(e, t.Exists):
            where = go(e.select.where) if e.select.where else sql("true")
            return concat(
                "exists (select 1 from ",
                identifier("public", e.select.collection),
                " ",
                identifier(e.select.alias),
                " where ",
                where,
                ")",
            )
        raise TypeError(e)

    return go(expr)
