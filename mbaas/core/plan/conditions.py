"""A caller's conditions become expressions: each column looked up, each literal typed by what it meets.

A literal stays text and is bound with its type, so PostgreSQL checks it before it has looked at any row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from mbaas.core.errors import InvalidValue, UnknownField
from mbaas.core.expr.types import (
    And,
    Binary,
    Call,
    Column,
    Expr,
    Is,
    Json,
    Not,
    Or,
    Quantified,
    TextSearch,
    Value,
)
from mbaas.core.plan.arrays import parse_array
from mbaas.core.plan.names import ColumnType, column_type
from mbaas.core.plan.types import computed_field
from mbaas.core.query.errors import Misplaced, Unsupported
from mbaas.core.query.types import Condition, Filter, Logic, Path
from mbaas.core.schema.catalog import Function

_TEXT = ColumnType("text")
_JSONB = ColumnType("jsonb")

_TYPED = {
    "eq": "=",
    "neq": "<>",
    "gt": ">",
    "gte": ">=",
    "lt": "<",
    "lte": "<=",
    "isdistinct": "is distinct from",
    "cs": "@>",
    "cd": "<@",
    "ov": "&&",
    "sl": "<<",
    "sr": ">>",
    "nxr": "&<",
    "nxl": "&>",
    "adj": "-|-",
}
_PATTERNS = {"like": "like", "ilike": "ilike", "match": "~", "imatch": "~*"}
_SEARCHES = {
    "fts": "to_tsquery",
    "plfts": "plainto_tsquery",
    "phfts": "phraseto_tsquery",
    "wfts": "websearch_to_tsquery",
}


class Owner:
    """Whose columns a path may name. computed: the functions of its row. used: those that some path named.

    given: what else a path may name in this request.
    """

    __slots__ = ("_computed", "columns", "given", "name", "used")

    def __init__(
        self, name: str, columns: Mapping[str, ColumnType], computed: Mapping[str, Function] | None = None
    ) -> None:
        self.name = name
        self.columns = columns
        self.used: dict[str, Function] = {}
        self.given: Mapping[str, tuple[Expr, ColumnType]] = {}
        self._computed = computed or {}

    def column(self, name: str) -> tuple[Expr, ColumnType]:
        """The column and its type. Raises UnknownField."""
        found = self.columns.get(name)
        if found is not None:
            return Column(name), found
        if name in self.given:
            return self.given[name]
        function = self._computed.get(name)
        if function is None:
            raise UnknownField.of(self.name, name)
        if function.volatility == "volatile":
            error = UnknownField.of(self.name, name)
            error.hint = f"the function {name}({self.name}) must be stable or immutable to be read as a field"
            raise error
        self.used[name] = function
        return computed_field(name), column_type(function.returns)


def path_expr(path: Path, owner: Owner) -> tuple[Expr, ColumnType]:
    """The value a path leads to, and its type. Into JSON, and into arrays as if they were JSON."""
    found: Expr
    found, kind = owner.column(path.name)
    if not path.steps:
        return found, kind
    if not kind.is_json:
        if kind.element is None:
            raise InvalidValue(f"column {owner.name}.{path.name} of type {kind.name} has nothing inside")
        found = Call("to_jsonb", (found,))
    for step, as_text in path.steps:
        found = Json(found, step, as_text)
    return found, _TEXT if path.steps[-1][1] else _JSONB


def filter_expr(filter: Filter, owner: Owner) -> Expr:
    """A condition, or a tree of them, over the columns of one owner."""
    if isinstance(filter, Condition):
        return condition_expr(filter, owner)
    return logic_expr(filter, tuple(filter_expr(item, owner) for item in filter.items))


def logic_expr(logic: Logic, items: tuple[Expr, ...]) -> Expr:
    joined: Expr = items[0] if len(items) == 1 else And(items) if logic.operator == "and" else Or(items)
    return Not(joined) if logic.negated else joined


def condition_expr(condition: Condition, owner: Owner) -> Expr:
    item, kind = path_expr(condition.path, owner)
    if kind.is_measured and condition.operator != "is":
        word = "near" if kind.name.startswith("vector") else "within"
        raise Misplaced(
            f"{condition.operator} cannot be asked of type {kind.name}", f"{word}={condition.path.name}...."
        )
    found = _condition(condition, item, kind)
    return Not(found) if condition.negated else found


def _condition(condition: Condition, item: Expr, type: ColumnType) -> Expr:
    operator, value = condition.operator, condition.value
    if isinstance(value, tuple):
        if condition.quantifier is not None:
            return _quantified(operator, condition.quantifier, value, item, type)
        return _in(item, type, value)
    if operator == "is":
        return is_expr(item, value)
    if operator in _TYPED:
        return Binary(_TYPED[operator], item, typed_value(value, type))
    if operator in _PATTERNS:
        return Binary(_PATTERNS[operator], item, Value(_pattern(operator, value), "text"))
    if operator in _SEARCHES:
        wrap = type.name != "tsvector"
        parser = _SEARCHES[operator]
        return TextSearch(item, parser, Value(value, "text"), condition.config, wrap)  # type: ignore[arg-type]
    raise Unsupported(f"there is no operator {operator}")


def is_expr(item: Expr, word: str) -> Expr:
    """``item is word``, the word in any case: null, not_null, true, false, unknown."""
    what = word.lower()
    if what == "not_null":
        return Is(item, "null", negated=True)
    if what not in ("null", "true", "false", "unknown"):
        raise InvalidValue(f"is takes null, not_null, true, false or unknown, not {word!r}")
    return Is(item, what)  # type: ignore[arg-type]


def typed_value(text: str, type: ColumnType) -> Value:
    """A literal of a column's type. Raises InvalidValue for what is no array where one is needed."""
    if type.element is not None:
        return Value(parse_array(text), type.bind)
    return Value(text, type.bind)


def _in(item: Expr, type: ColumnType, values: tuple[str | None, ...]) -> Expr:
    if values and (type.element is not None or type.is_range):
        # No array of arrays and no array of ranges can be bound.
        return Or(tuple(Binary("=", item, typed_value(text, type)) for text in values if text is not None))
    return Quantified("=", item, "any", Value(values, type.bind_list))


def _quantified(
    operator: str, quantifier: Literal["any", "all"], texts: tuple[str | None, ...], item: Expr, type: ColumnType
) -> Expr:
    if operator in _PATTERNS:
        patterns = Value(tuple(None if text is None else _pattern(operator, text) for text in texts), "text[]")
        return Quantified(_PATTERNS[operator], item, quantifier, patterns)
    if operator not in _TYPED or type.element is not None or type.is_range:
        raise Unsupported(f"{operator}({quantifier}) cannot be used on {type.name}")
    return Quantified(_TYPED[operator], item, quantifier, Value(texts, type.bind_list))


def _pattern(operator: str, text: str) -> str:
    """``*`` may stand for ``%``, which a URL would have to escape."""
    return text.replace("*", "%") if operator.endswith("like") else text
