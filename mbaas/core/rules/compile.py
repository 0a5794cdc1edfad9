"""Every rule of a catalog, parsed."""

from __future__ import annotations

import contextlib
import re

import msgspec

from mbaas.core.errors import RuleError
from mbaas.core.expr.types import FALSE, Expr
from mbaas.core.rules.guard import guard
from mbaas.core.rules.parse import parse_default, parse_rule
from mbaas.core.rules.ruleset import OPERATIONS, RuleSet
from mbaas.core.schema.catalog import Catalog, Collection

_ASKS = re.compile(r"\bauth\s*\.", re.IGNORECASE)


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
    defaults = {name: _asking_defaults(collection, catalog) for name, collection in catalog.collections.items()}
    return RuleSet(catalog, rows, reads, writes, defaults)


def _asking_defaults(collection: Collection, catalog: Catalog) -> dict[str, Expr]:
    """Inline they are expressions, since our own statements carry no claims for ``auth.uid()`` to find."""
    found: dict[str, Expr] = {}
    for field in () if collection.adopted else collection.fields:
        if field.default is not None and _ASKS.search(field.default):
            with contextlib.suppress(RuleError):  # more than rules can say: then it stays the database's to evaluate
                found[field.name] = parse_default(field.default, collection=collection, catalog=catalog)
    return found
