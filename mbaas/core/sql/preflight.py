"""What stands in the way of a plan, found before its first step: rows that the new schema would not take.

Each question is put to the table as it would be: today's rows under tomorrow's names, types and defaults.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from mbaas.core.schema import changes as c
from mbaas.core.schema.casts import change_of_type
from mbaas.core.schema.changes import Change, Kept
from mbaas.core.schema.pairing import Pair, Pairing
from mbaas.core.schema.table import Foreign, TableColumn
from mbaas.core.sql.definition import names, table_name
from mbaas.core.sql.fragment import quote


class Obstacle(msgspec.Struct, frozen=True):
    """query: true when the obstacle is there; ``None``: it is there for certain. An error of the query counts too."""

    message: str
    hint: str
    query: str | None = None


def refusals(changes: Iterable[Change]) -> Iterator[Obstacle]:
    """Changes of type that would have to guess."""
    for change in changes:
        if not isinstance(change, c.ChangeType):
            continue
        name = f"{change.table}.{change.after.name}"
        effect = change_of_type(change.before.type, change.after.type)
        if effect == "refused":
            yield Obstacle(
                f"{name} cannot become {change.after.type}: no value of {change.before.type} says by itself what it is",
                "add a field of the new type, fill it in a hand-written migration, then drop the old one; "
                "or change the type there, in a file that begins with the line: -- before",
            )
        elif effect == "narrowing" and any(column.name == change.after.name for column in change.key):
            yield Obstacle(
                f"{name} is the key and cannot become {change.after.type}: two rows might get the same",
                "add a field of the new type and make it the key in a later step",
            )


def obstacles(
    pairing: Pairing, changes: Iterable[Change], *, populated: frozenset[str], kept: Sequence[Kept] = ()
) -> Iterator[Obstacle]:
    """Questions about tables that hold rows. populated: wanted names of those."""
    future = _Future(pairing, {(item.table, item.column): item for item in kept if item.kind == "column"})
    for change in changes:
        table = getattr(change, "table", None)
        if isinstance(table, str) and table in populated and table in pairing.pairs:
            yield from future.questions(table, change)


def all_at_once(questions: Iterable[Obstacle]) -> str:
    """One query for one JSON array of booleans, in the questions' order."""
    asked = ", ".join(f"({question.query or 'select true'})" for question in questions)
    return f"select json_build_array({asked})::text"


class _Future:
    def __init__(self, pairing: Pairing, kept: Mapping[tuple[str, str], Kept]) -> None:
        self._pairing, self._kept = pairing, kept

    def questions(self, table: str, change: Change) -> Iterator[Obstacle]:
        match change:
            case c.AddColumn(_, column) if column.not_null and column.generated is None and not column.identity:
                yield self._null(table, column.name)
            case c.AddColumn(_, column) if column.generated is not None:
                yield self._computable(table, column.name, f"{table}.{column.name} cannot be computed for every row")
                if column.not_null:
                    yield self._null(table, column.name)
            case c.SetNotNull(_, name):
                yield self._null(table, name)
            case c.ChangeType(_, before, after) if change_of_type(before.type, after.type) != "none":
                message = f"{table}.{after.name} holds values that {after.type} cannot hold"
                yield self._computable(table, after.name, message)
                if any(column.name == after.name for column in change.key):
                    yield self._exact(table, before, after)
            case c.AddCheck(_, check):
                yield self._check(table, check.name, check.expression)
            case c.AddPrimary(_, key) | c.AddUnique(_, key):
                yield self._duplicates(table, key.columns, None)
            case c.AddIndex(_, index) if index.unique:
                yield self._duplicates(table, tuple(field.name for field in index.fields), index.where)
            case c.AddForeign(_, foreign):
                yield self._dangling(table, foreign)
            case c.Validate(_, name):
                yield from self._unvalidated(table, name)
            case _:
                return

    def _null(self, table: str, column: str) -> Obstacle:
        return Obstacle(
            f"{table}.{column} must have a value, and some rows have none",
            "give the field a default when it is new; else fill it first, "
            "for instance in a hand-written migration that begins with the line: -- before",
            f"select exists (select {self._from(table)} where {quote(column)} is null)",
        )

    def _computable(self, table: str, column: str, message: str) -> Obstacle:
        return Obstacle(message, "correct these rows first", f"select count({quote(column)}) < 0 {self._from(table)}")

    def _exact(self, table: str, before: TableColumn, after: TableColumn) -> Obstacle:
        """A key is never put aside: it is what finds the rows."""
        own = quote(after.name)
        return Obstacle(
            f"{table}.{after.name} is the key, and some values are not the same as {after.type}",
            "correct these rows first",
            f"select exists (select {self._from(table)} "
            f"where {own}::{before.type}::{after.type}::text is distinct from {own}::text)",
        )

    def _check(self, table: str, name: str, expression: str) -> Obstacle:
        return Obstacle(
            f"{table}: some rows do not meet the check {name}",
            "correct these rows first, or widen what the field allows",
            f"select exists (select {self._from(table)} where not ({expression}))",
        )

    def _duplicates(self, table: str, columns: Sequence[str], where: str | None) -> Obstacle:
        given = [f"{quote(column)} is not null" for column in columns]
        if where is not None:
            given.append(f"({where})")
        return Obstacle(
            f"{table}: several rows have the same {', '.join(columns)}",
            "remove or change the duplicates first",
            f"select exists (select {self._from(table)} where {' and '.join(given)} "
            f"group by {names(columns)} having count(*) > 1)",
        )

    def _dangling(self, table: str, foreign: Foreign) -> Obstacle:
        matches = " and ".join(
            f"child.{quote(column)} = parent.{quote(target)}"
            for column, target in zip(foreign.columns, foreign.target, strict=True)
        )
        given = " and ".join(f"child.{quote(column)} is not null" for column in foreign.columns)
        parents = self._targets(foreign.table)
        missing = "true" if parents is None else f"not exists (select from {parents} as parent where {matches})"
        return Obstacle(
            f"{table}: some rows refer to rows of {foreign.table} that do not exist",
            f"remove these rows, or empty their {', '.join(foreign.columns)}, first",
            f"select exists (select from {self._rows(table)} as child where {given} and {missing})",
        )

    def _unvalidated(self, table: str, name: str) -> Iterator[Obstacle]:
        after = self._pairing.pairs[table].after
        for check in after.checks:
            if check.name == name:
                yield self._check(table, name, check.expression)
        for foreign in after.foreigns:
            if foreign.name == name:
                yield self._dangling(table, foreign)

    def _targets(self, table: str) -> str | None:
        """Rows a foreign key may point to once the plan is done; ``None``: none at all."""
        if table in self._pairing.pairs:
            return self._rows(table)
        if any(created.name == table for created in self._pairing.created):
            return None
        return table_name(table)

    def _from(self, table: str) -> str:
        # Under the table's own name: an expression may speak of it.
        return f"from {self._rows(table)} as {quote(table)}"

    def _rows(self, table: str) -> str:
        pair = self._pairing.pairs[table]
        old = {new: name for name, new in pair.renamed.items()}
        joins: list[str] = []
        plain = [
            f"{self._value(pair, column, old, joins)} as {quote(column.name)}"
            for column in pair.after.columns
            if column.generated is None
        ]
        where = self._pairing.restored.get(table)
        source = table_name(pair.old_name) if where is None else f"{where}.{quote(table)}"
        rows = f"(select {', '.join(plain)} from {source} as o {' '.join(joins)})"
        generated = [
            f"({column.generated})::{column.type} as {quote(column.name)}"
            for column in pair.after.columns
            if column.generated is not None
        ]
        if not generated:
            return rows
        own = quote(table)
        return f"(select {own}.*, {', '.join(generated)} from {rows} as {own})"

    def _value(self, pair: Pair, column: TableColumn, old: Mapping[str, str], joins: list[str]) -> str:
        before = pair.before.column(column.name)
        if before is not None:
            name = f"o.{quote(old.get(column.name, column.name))}"
            return name if before.type == column.type else f"{name}::{column.type}"
        if column.identity:
            return f"(row_number() over ())::{column.type}"
        otherwise = f"({column.default or 'null'})::{column.type}"
        kept = self._kept.get((pair.after.name, column.name))
        if kept is None:
            return otherwise
        alias = f"k{len(joins)}"
        found = " and ".join(
            f"o.{quote(old.get(name, name))} = {alias}.k{index}::{of}" for index, (name, of) in enumerate(kept.key, 1)
        )
        joins.append(f"left join {kept.storage}.kept as {alias} on {found}")
        return f"case when {alias}.k1 is null then {otherwise} else {alias}.value::{column.type} end"
