"""``Expr`` as a person would write it: for telling which part of a rule did not hold. Never sent to PostgreSQL.

of: the collection whose rule it is. Inside a sub-select its columns are told with its name, since bare ones may be the
sub-select's own.
"""

from __future__ import annotations

from typing import assert_never

from mbaas.core.expr import types as t

# How tightly a part holds together; one that stands in a tighter one gets brackets.
_OR, _AND, _NOT, _COMPARISON, _OPERATOR, _WHOLE = range(6)
_COMPARISONS = frozenset({"=", "<>", "<", "<=", ">", ">=", "like", "ilike"}) | {
    "is distinct from",
    "is not distinct from",
}
_NUMBERS = frozenset({"integer", "bigint", "numeric", "double precision"})


def rule_text(expr: t.Expr, *, of: str) -> str:
    """The expression in SQL syntax, a sub-select's own columns by its alias.

    >>> rule_text(t.And((t.Column("published"), t.Not(t.Or((t.Column("a"), t.Column("b")))))), of="posts")
    'published and not (a or b)'
    """
    return _Teller(of, within=False).text(expr)


def select_text(select: t.Select, *, of: str) -> str:
    """A sub-select in one line."""
    return _Teller(of, within=True).select(select)


def condition_text(expr: t.Expr, *, of: str) -> str:
    """A part of what a sub-select asks."""
    return _Teller(of, within=True).text(expr)


class _Teller:
    """within: a sub-select."""

    def __init__(self, of: str, *, within: bool) -> None:
        self._of = of
        self._within = within

    def text(self, expr: t.Expr) -> str:
        return self._render(expr)[0]

    def select(self, select: t.Select) -> str:
        inner = _Teller(self._of, within=True)
        output = "1" if select.output is None else inner.text(select.output)
        table = select.collection if select.alias == select.collection else f"{select.collection} as {select.alias}"
        where = () if select.where is None else ("where", inner.text(select.where))
        return " ".join(("select", output, "from", table, *where))

    def _in(self, part: t.Expr, strength: int) -> str:
        text, own = self._render(part)
        return f"({text})" if own < strength else text

    def _listed(self, parts: tuple[t.Expr, ...]) -> str:
        return ", ".join(map(self.text, parts))

    def _render(self, part: t.Expr) -> tuple[str, int]:
        match part:
            case t.Column():
                scope = part.scope or (self._of if self._within else "")
                return (f"{scope}.{part.name}" if scope else part.name), _WHOLE
            case t.Literal():
                if isinstance(part.value, str) and part.type in _NUMBERS:
                    return part.value, _WHOLE
                return _constant(part.value), _WHOLE
            case t.Value():
                return _constant(part.text if isinstance(part.text, str | None) else str(list(part.text))), _WHOLE
            case t.Claim():
                return f"auth.{part.kind}({'' if part.path is None else _constant(part.path)})", _WHOLE
            case t.Guarded():
                return self._render(part.item)
            case t.Json():
                step = _constant(part.step)
                base = self.text(part.base) if isinstance(part.base, t.Json) else self._in(part.base, _WHOLE)
                return f"{base} {'->>' if part.as_text else '->'} {step}", _OPERATOR
            case t.And():
                return " and ".join(self._in(item, _AND) for item in part.items), _AND
            case t.Or():
                return " or ".join(self._in(item, _OR) for item in part.items), _OR
            case t.Not():
                return f"not {self._in(part.item, _COMPARISON)}", _NOT
            case t.Binary():
                own, inner = (_COMPARISON, _OPERATOR) if part.op in _COMPARISONS else (_OPERATOR, _WHOLE)
                return f"{self._in(part.left, inner)} {part.op} {self._in(part.right, inner)}", own
            case t.Quantified():
                return (
                    f"{self._in(part.left, _WHOLE)} {part.op} {part.quantifier}({self.text(part.right)})",
                    _COMPARISON,
                )
            case t.Is():
                return f"{self._in(part.item, _WHOLE)} is {'not ' * part.negated}{part.what}", _COMPARISON
            case t.In():
                return f"{self._in(part.item, _WHOLE)} in ({self._listed(part.items)})", _COMPARISON
            case t.Cast():
                return f"{self._in(part.item, _WHOLE)}::{part.type}", _WHOLE
            case t.Call():
                return (
                    "current_date" if part.name == "current_date" else f"{part.name}({self._listed(part.args)})"
                ), _WHOLE
            case t.Case():
                branches = " ".join(f"when {self.text(when)} then {self.text(then)}" for when, then in part.branches)
                otherwise = "" if part.otherwise is None else f" else {self.text(part.otherwise)}"
                return f"case {branches}{otherwise} end", _WHOLE
            case t.Array():
                return f"array[{self._listed(part.items)}]", _WHOLE
            case t.TextSearch():
                return f"{self._in(part.item, _OPERATOR)} @@ {part.parser}({self.text(part.query)})", _COMPARISON
            case t.Exists():
                return f"exists ({self.select(part.select)})", _WHOLE
            case t.InSelect():
                return f"{self._in(part.item, _WHOLE)} in ({self.select(part.select)})", _COMPARISON
            case t.ScalarSelect():
                return f"({self.select(part.select)})", _WHOLE
        assert_never(part)


def _constant(value: None | bool | int | float | str) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else str(value)
