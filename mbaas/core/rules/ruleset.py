"""Stand-in until the real one is merged."""

from __future__ import annotations

from mbaas.core.expr.types import FALSE, TRUE, Expr
from mbaas.core.schema.catalog import Catalog, Operation


class RuleSet:
    def __init__(self, catalog: Catalog, rules: dict[tuple[str, str], Expr] | None = None) -> None:
        self.catalog = catalog
        self._rules = rules or {}

    def row(self, collection: str, operation: Operation) -> Expr:
        return self._rules.get((collection, operation), FALSE)

    def read(self, collection: str, field: str) -> Expr:
        return self._rules.get((collection, "read:" + field), TRUE)

    def write(self, collection: str, field: str) -> Expr:
        return self._rules.get((collection, "write:" + field), TRUE)
