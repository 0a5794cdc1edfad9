"""``having``: which groups go out, by what their aggregates come to."""

from __future__ import annotations

import msgspec

from mbaas.core.errors import UnknownField
from mbaas.core.expr.types import Expr, all_of
from mbaas.core.plan.conditions import Owner, filter_expr
from mbaas.core.plan.names import ColumnType, column_type
from mbaas.core.plan.types import AggregateOutput, ReadPlan
from mbaas.core.query.errors import Misplaced
from mbaas.core.query.filters import parse_logic
from mbaas.core.query.limits import DEFAULT_LIMITS

_WHOLE = frozenset({"smallint", "integer"})
_SHORT = {
    "int": "integer", "int4": "integer", "int8": "bigint", "int2": "smallint", "float8": "double precision",
    "float4": "real", "float": "double precision", "decimal": "numeric",
}  # fmt: skip
_EXACT = frozenset({"bigint", "numeric"})


def with_having(plan: ReadPlan, texts: tuple[str, ...]) -> ReadPlan:
    """The plan whose groups meet every text.

    Raises Misplaced where nothing is aggregated, UnknownField for what is no aggregate's key.
    """
    known = {key: result_type(output) for key, output in plan.columns() if isinstance(output, AggregateOutput)}
    if not plan.grouped or not known:
        raise Misplaced("having is of aggregates, and select has none", "select=author,views.sum()&having=sum.gt.10")
    owner = Owner("having", known)
    conditions: list[Expr] = []
    for text in texts:
        tree = parse_logic("and", text if text.startswith("(") else f"({text})", DEFAULT_LIMITS)
        try:
            conditions.append(filter_expr(tree, owner))
        except UnknownField as error:
            names = ", ".join(known)
            raise Misplaced(f"having names what is no aggregate: {error.message}", f"its keys are {names}") from error
    return msgspec.structs.replace(plan, having=all_of(*conditions))


def result_type(output: AggregateOutput) -> ColumnType:
    """What PostgreSQL makes of values of a type.

    >>> [result_type(AggregateOutput("n", name, of="integer")).name for name in ("sum", "avg", "max", "count")]
    ['bigint', 'numeric', 'integer', 'bigint']
    """
    argument = _SHORT.get(output.of, output.of)
    if output.cast is not None:
        return column_type(output.cast)
    if output.function == "count":
        return ColumnType("bigint")
    if output.function in ("min", "max"):
        return column_type(argument)
    if argument in _EXACT or argument in _WHOLE:
        return ColumnType("bigint" if output.function == "sum" and argument in _WHOLE else "numeric")
    if argument == "real" and output.function == "avg":
        return ColumnType("double precision")
    return column_type(argument)
