"""``Expr`` as SQL, the same for every use but for the caller: bound values inline, ``auth.*()`` calls in a policy."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import assert_never

import msgspec

from mbaas.core.expr import types as t
from mbaas.core.expr.claims import ABSENT, claim
from mbaas.core.expr.walk import walk
from mbaas.core.identity import Identity
from mbaas.core.sql.fragment import Fragment, concat, identifier, join, quote_text, sql, value

_LIKE = frozenset(("like", "ilike"))
# Of PostgreSQL itself, in every database.
CONFIGURATIONS = frozenset(
    "simple arabic armenian basque catalan danish dutch english finnish french german greek hindi hungarian indonesian "
    "irish italian lithuanian nepali norwegian portuguese romanian russian serbian spanish swedish tamil turkish "
    "yiddish".split()
)
_RAISING = frozenset(("~", "~*", "!~", "!~*", "like", "ilike"))
_CHECKED = ("text::vector", "text::regconfig")  # made by the server, of numbers and names that it has looked at
OPERATORS = frozenset(
    "= <> < <= > >= + - * || like ilike ~ ~* @> <@ && ? << >> &> &< -|- @@ !~ !~* <=> <-> <#>".split()
) | {"is distinct from", "is not distinct from"}  # fmt: skip
FUNCTIONS = frozenset(
    "lower upper length coalesce nullif trim abs starts_with now current_date to_tsvector to_jsonb "
    "ts_rank_cd websearch_to_tsquery mbaas.distance_m".split()
)  # fmt: skip


def may_raise(expr: t.Expr) -> bool:
    """Whether PostgreSQL may refuse the expression for one row and not for another, or only when it meets a row."""
    for part in walk(expr):
        if isinstance(part, t.TextSearch):
            if _search_may_raise(part):
                return True
        elif isinstance(part, t.Cast):
            return True
        elif isinstance(part, t.Binary | t.Quantified):
            if part.op in _RAISING and not (part.op in _LIKE and _is_whole_pattern(part.right)):
                return True
        elif isinstance(part, t.Value) and part.type.startswith(("text::", "text[]::")) and part.type not in _CHECKED:
            return True
    return False


def _search_may_raise(search: t.TextSearch) -> bool:
    """to_tsquery has a syntax; a text can be too long for to_tsvector; a configuration may not be there."""
    known = search.config is None or search.config in CONFIGURATIONS
    return search.wrap or search.parser == "to_tsquery" or not known


def _is_whole_pattern(right: t.Expr) -> bool:
    """Whether it is a value that does not end in the middle of an escape, all that LIKE ever complains of."""
    if not isinstance(right, t.Value):
        return False
    texts = right.text if isinstance(right.text, tuple) else (right.text,)
    return all(text is None or (len(text) - len(text.rstrip("\\"))) % 2 == 0 for text in texts)


def render_expr(
    expr: t.Expr,
    *,
    column: Callable[[t.Column], Fragment],
    identity: Identity | None,
    claims: Callable[[t.Claim], Fragment] | None = None,
) -> Fragment:
    """The expression as SQL. column: renders the record's own columns. identity: ``None`` for a policy.

    claims: renders what is asked of the caller, where neither of the two is the way.
    """

    def go(part: t.Expr) -> Fragment:
        match part:
            case t.Column():
                return column(part) if part.scope == "" else identifier(_alias(part.scope), part.name)
            case t.Literal():
                return _literal(part)
            case t.Value():
                return value(part.text, part.type)
            case t.Claim():
                return _claim(part, identity) if claims is None else claims(part)
            case t.Guarded():
                columns, asked = guard_inputs(part)
                inputs: tuple[t.Expr, ...] = (*columns, *asked)
                return concat("mbaas.", guard_name(part), "(", join(", ", map(go, inputs)), ")")
            case t.Json():
                step = quote_text(part.step) if isinstance(part.step, str) else str(part.step)
                return concat("(", go(part.base), " ->> " if part.as_text else " -> ", step, ")")
            case t.And():
                return concat("(", join(" and ", map(go, part.items)), ")")
            case t.Or():
                return concat("(", join(" or ", map(go, part.items)), ")")
            case t.Not():
                return concat("(not ", go(part.item), ")")
            case t.Binary():
                return concat("(", go(part.left), f" {_spelled(part)} ", go(part.right), ")")
            case t.Quantified():
                return concat("(", go(part.left), f" {_spelled(part)} {part.quantifier} (", go(part.right), "))")
            case t.Is():
                return concat("(", go(part.item), f" is {'not ' * part.negated}{part.what})")
            case t.In():
                return _in(part, go)
            case t.Cast():
                return concat("(", go(part.item), f")::{part.type}")
            case t.Call():
                if part.name not in FUNCTIONS:
                    raise ValueError(f"no function of rules: {part.name}")
                if part.name == "current_date":
                    return sql("current_date")
                return concat(part.name, "(", join(", ", map(go, part.args)), ")")
            case t.Case():
                branches = [concat(" when ", go(when), " then ", go(then)) for when, then in part.branches]
                otherwise = sql("") if part.otherwise is None else concat(" else ", go(part.otherwise))
                return concat("(case", *branches, otherwise, " end)")
            case t.Array():
                return concat("array[", join(", ", map(go, part.items)), "]")
            case t.TextSearch():
                config = sql("") if part.config is None else concat(value(part.config, "text::regconfig"), ", ")
                item = concat("to_tsvector(", config, go(part.item), ")") if part.wrap else go(part.item)
                return concat("(", item, f" @@ {part.parser}(", config, go(part.query), "))")
            case t.Exists():
                return concat("exists (", _select(part.select, go), ")")
            case t.InSelect():
                return concat("(", go(part.item), " in (", _select(part.select, go), "))")
            case t.ScalarSelect():
                return concat("(", _select(part.select, go), ")")
        assert_never(part)

    return go(expr)


def guard_inputs(part: t.Guarded) -> tuple[tuple[t.Column, ...], tuple[t.Claim, ...]]:
    """What the function behind a guard is given: columns of the row, then what is asked of the caller."""
    columns: Iterable[t.Column] = (one for one in walk(part.item) if isinstance(one, t.Column) and one.scope == "")
    claims: Iterable[t.Claim] = (one for one in walk(part.item) if isinstance(one, t.Claim))
    return tuple({one.name: one for one in columns}.values()), tuple(dict.fromkeys(claims))


def guard_name(part: t.Guarded) -> str:
    """The function behind a guard, in schema ``mbaas``: another expression has another, so that both can be there."""
    return f"guard_{hashlib.sha256(msgspec.json.encode(part)).hexdigest()[:40]}"


def _spelled(part: t.Binary | t.Quantified) -> str:
    """The operator, and behind the left side the order of code points when it is to be that."""
    if part.op not in OPERATORS:
        raise ValueError(f"no operator of rules: {part.op}")
    return f'collate "C" {part.op}' if part.collate else part.op


def _literal(part: t.Literal) -> Fragment:
    if part.value is None:
        text = "null"
    elif isinstance(part.value, bool):
        text = str(part.value).lower()
    else:
        text = quote_text(part.value) if isinstance(part.value, str) else repr(part.value)
    return sql(f"{text}::{part.type}" if part.type else text)


def _claim(part: t.Claim, identity: Identity | None) -> Fragment:
    """Of a policy: in a sub-select, so that PostgreSQL asks once a statement and not once a row."""
    if identity is None:
        argument = "" if part.path is None else quote_text(part.path)
        return sql(f"(select auth.{part.kind}({argument}))")
    return value(claim_text(part, identity), _CLAIM_TYPES[part.kind], part)


_CLAIM_TYPES = {"uid": "uuid", "role": "text", "email": "text", "aal": "text", "jwt": "jsonb", "claim": "jsonb"}


def claim_text(part: t.Claim, identity: Identity) -> str | None:
    """Something of the caller in PostgreSQL's input form."""
    found = claim(part, identity)
    if part.kind in ("jwt", "claim"):
        return None if found is ABSENT else msgspec.json.encode(found).decode()
    text: str | None = found
    return text


def _in(part: t.In, go: Callable[[t.Expr], Fragment]) -> Fragment:
    """A caller's list is one bound array: the text does not depend on how long it is."""
    if not part.items:
        return sql("false")
    values = [item for item in part.items if isinstance(item, t.Value)]
    if len(values) == len(part.items) and len({item.type for item in values}) == 1:
        texts = tuple(item.text for item in values if not isinstance(item.text, tuple))
        return concat("(", go(part.item), " = any (", value(texts, values[0].type + "[]"), "))")
    return concat("(", go(part.item), " in (", join(", ", map(go, part.items)), "))")


def _select(select: t.Select, go: Callable[[t.Expr], Fragment]) -> Fragment:
    where = sql("") if select.where is None else concat(" where ", go(select.where))
    output = sql("1") if select.output is None else go(select.output)
    table = concat(identifier("public", select.collection), " as ", identifier(_alias(select.alias)))
    return concat("select ", output, " from ", table, where)


def _alias(name: str) -> str:
    """An author's alias, kept apart from the server's own, which ``column`` may use and none of which begins so."""
    return f"s_{name}"
