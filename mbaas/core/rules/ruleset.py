"""Every rule of a catalog, parsed. What a collection or field does not say is decided here: nobody, everybody."""

from __future__ import annotations

import msgspec

from mbaas.core.errors import RuleError
from mbaas.core.expr.types import FALSE, TRUE, Expr
from mbaas.core.rules.guard import guard
from mbaas.core.rules.parse import parse_rule
from mbaas.core.schema.catalog import Catalog, Operation

OPERATIONS: tuple[Operation, ...] = ("select", "insert", "update", "delete")


class RuleSet(msgspec.Struct, frozen=True):
    """A catalog with its rules as expressions."""

    catalog: Catalog
    rows: dict[tuple[str, str], Expr]
    reads: dict[tuple[str, str], Expr]
    writes: dict[tuple[str, str], Expr]

    def row(self, collection: str, operation: Operation) -> Expr:
        """Which rows the operation is for. Without a rule: none."""
        return self.rows.get((collection, operation), FALSE)

    def read(self, collection: str, field: str) -> Expr:
        """For which rows the field shows. Without a rule: all; a hidden one: none."""
        return self.reads.get((collection, field), TRUE)

    def write(self, collection: str, field: str) -> Expr:
        """For which rows the field may be set. Without a rule: all."""
        return self.writes.get((collection, field), TRUE)


class RuleFault(msgspec.Struct, frozen=True):
    """What is wrong with one rule. key: as in ``mbaas.toml``, ``("collections", "posts", "rules", "select")``."""

    key: tuple[str, ...]
    message: str
    hint: str | None = None

    def __str__(self) -> str:
        return f"{'.'.join(self.key)}: {self.message}" + (f" ({self.hint})" if self.hint else "")


def compile_rules(catalog: Catalog) -> RuleSet:
    """The catalog's rules. Raises RuleError with every fault, each naming collection and key.

    Its ``details`` are the faults as ``RuleFault``, for whoever knows the file and line of a key.
    """
    rows: dict[tuple[str, str], Expr] = {}
    reads: dict[tuple[str, str], Expr] = {}
    writes: dict[tuple[str, str], Expr] = {}
    faults: list[RuleFault] = []
    for collection in catalog.collections.values():
        name = collection.name
        texts: list[tuple[dict[tuple[str, str], Expr], str, tuple[str, ...], str | None]] = [
            (rows, operation, ("rules", operation), collection.rules.of(operation)) for operation in OPERATIONS
        ]
        for field in collection.fields:
            texts.append((reads, field.name, ("fields", field.name, "read"), field.read))
            texts.append((writes, field.name, ("fields", field.name, "write"), field.write))
        for into, key, where, text in texts:
            if text is None:
                continue
            try:
                into[(name, key)] = guard(parse_rule(text, collection=collection, catalog=catalog), catalog)
            except RuleError as error:
                faults.append(RuleFault(("collections", name, *where), error.message, error.hint))
        reads.update(((name, field.name), FALSE) for field in collection.fields if field.hidden)
    if faults:
        raise RuleError("\n  ".join(map(str, faults)), details=tuple(faults))
    return RuleSet(catalog, rows, reads, writes)
