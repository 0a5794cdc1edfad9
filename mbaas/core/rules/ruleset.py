"""Stand-in until the real one is merged."""

from __future__ import annotations

from typing import Any

import sqlglot
from sqlglot import exp

from mbaas.core.expr import types as t
from mbaas.core.schema.catalog import Catalog, Operation


def _parse(text: str) -> t.Expr:
    return _go(sqlglot.parse_one(text, dialect="postgres"), {})


def _go(e: Any, scope: dict[str, str]) -> t.Expr:
    def go(x: Any) -> t.Expr:
        return _go(x, scope)

    if isinstance(e, exp.Paren):
        return go(e.this)
    if isinstance(e, exp.And):
        return t.And((go(e.left), go(e.right)))
    if isinstance(e, exp.Or):
        return t.Or((go(e.left), go(e.right)))
    if isinstance(e, exp.Not):
        return t.Not(go(e.this))
    if isinstance(e, exp.Boolean):
        return t.Literal(bool(e.this))
    if isinstance(e, exp.Literal):
        return t.Literal(e.this if e.is_string else int(e.this))
    if isinstance(e, exp.Is):
        return t.Is(go(e.this), "null")
    if isinstance(e, exp.Dot) or (isinstance(e, exp.Anonymous)):
        return t.Claim("uid")
    if isinstance(e, exp.Column):
        return t.Column(e.name, e.table)
    if isinstance(e, exp.Exists):
        select = e.this
        table = select.find(exp.Table)
        return t.Exists(t.Select(table.name, table.alias, go(select.args["where"].this)))
    if isinstance(e, exp.Binary):
        op = {exp.EQ: "=", exp.NEQ: "<>", exp.GT: ">", exp.GTE: ">=", exp.LT: "<", exp.LTE: "<="}[type(e)]
        return t.Binary(op, go(e.left), go(e.right))
    raise TypeError(repr(e))


class RuleSet:
    def __init__(self, catalog: Catalog, rules: dict[tuple[str, str], t.Expr]) -> None:
        self.catalog = catalog
        self._rules = rules

    def row(self, collection: str, operation: Operation) -> t.Expr:
        return self._rules.get((collection, operation), t.FALSE)

    def read(self, collection: str, field: str) -> t.Expr:
        return self._rules.get((collection, "read:" + field), t.TRUE)

    def write(self, collection: str, field: str) -> t.Expr:
        return self._rules.get((collection, "write:" + field), t.TRUE)


def compile_rules(catalog: Catalog) -> RuleSet:
    rules = {}
    operations: tuple[Operation, ...] = ("select", "insert", "update", "delete")
    for name, collection in catalog.collections.items():
        for operation in operations:
            text = collection.rules.of(operation)
            if text is not None:
                rules[name, str(operation)] = _parse(text)
        for field in collection.fields:
            if field.hidden:
                rules[name, "read:" + field.name] = t.FALSE
            elif field.read is not None:
                rules[name, "read:" + field.name] = _parse(field.read)
            if field.write is not None:
                rules[name, "write:" + field.name] = _parse(field.write)
    return RuleSet(catalog, rules)
