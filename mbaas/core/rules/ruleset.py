"""Every rule of a catalog, as read. What a collection or field does not say is decided here: nobody, everybody."""

from __future__ import annotations

import msgspec

from mbaas.core.expr.types import FALSE, TRUE, Expr
from mbaas.core.schema.catalog import Catalog, Operation

OPERATIONS: tuple[Operation, ...] = ("select", "insert", "update", "delete")


class RuleSet(msgspec.Struct, frozen=True):
    """A catalog with its rules as expressions. defaults: by collection and field, those that ask who the caller is."""

    catalog: Catalog
    rows: dict[tuple[str, str], Expr]
    reads: dict[tuple[str, str], Expr]
    writes: dict[tuple[str, str], Expr]
    defaults: dict[str, dict[str, Expr]]

    def row(self, collection: str, operation: Operation) -> Expr:
        """Which rows the operation is for. Without a rule: none."""
        return self.rows.get((collection, operation), FALSE)

    def read(self, collection: str, field: str) -> Expr:
        """For which rows the field shows. Without a rule: all; a hidden one: none."""
        return self.reads.get((collection, field), TRUE)

    def write(self, collection: str, field: str) -> Expr:
        """For which rows the field may be set. Without a rule: all."""
        return self.writes.get((collection, field), TRUE)
