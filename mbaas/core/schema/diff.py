"""How to come from one schema to another: an ordered list of changes.

The order is the one that works on live data: what stands in the way goes first, what is new comes next, what is given
up goes last, once policies no longer speak of it. Nothing is dropped that is not owned: indexes, columns and checks
that somebody made by hand stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

import msgspec

from mbaas.core.schema import changes as c
from mbaas.core.schema.changes import Kept, Phase, Phased
from mbaas.core.schema.columns import Touched, column_changes, mentions, touched_columns
from mbaas.core.schema.naming import fitting, object_name
from mbaas.core.schema.pairing import Pair, Pairing
from mbaas.core.schema.table import TRIGGERS, Foreign, Key, Object, TableCheck, TableIndex

_Named = TypeVar("_Named", Key, TableCheck, Foreign, TableIndex)


def diff(pairing: Pairing, *, kept: Sequence[Kept] = ()) -> tuple[Phased, ...]:
    """Every change with its phase, in order. Equal expressions have equal text by now.

    kept: values of earlier plans that come back on the way, under the wanted names.
    """
    found: list[Phased] = []
    touched = {name: touched_columns(pair) for name, pair in pairing.pairs.items()}
    cut = _Cut.of(pairing, touched)
    for pair in pairing.pairs.values():
        found += _renames(pair)
        found += column_changes(
            pair,
            touched[pair.after.name],
            owned=pairing.owned,
            kept=[item for item in kept if item.table == pair.after.name and item.kind != "table"],
        )
        found += _Objects(pair, touched[pair.after.name], pairing.owned, cut).changes()
    for table in pairing.created:
        found.append((Phase.CREATE, c.CreateTable(table)))
        found += [(Phase.RELATE, c.AddForeign(table.name, foreign)) for foreign in table.foreigns]
    found += [(Phase.CREATE, c.RestoreTable(name, storage)) for name, storage in pairing.restored.items()]
    found += _dropped(pairing)
    return tuple(sorted(found, key=lambda item: item[0]))


def _renames(pair: Pair) -> Iterator[Phased]:
    if pair.old_name != pair.after.name:
        yield Phase.RENAME, c.RenameTable(pair.old_name, pair.after.name)
    for old, new in pair.renamed.items():
        yield Phase.RENAME, c.RenameColumn(pair.after.name, old, new)


def _dropped(pairing: Pairing) -> Iterator[Phased]:
    """Tables go last, unless something new needs a name that one of them takes."""
    wanted = frozenset(name for table in pairing.created for name in table.relations) | frozenset(
        name for pair in pairing.pairs.values() for name in pair.after.relations
    )
    for table in pairing.dropped:
        for foreign in table.foreigns:
            yield Phase.DROP_FOREIGN, c.DropConstraint(table.name, foreign.name)
        yield Phase.DROP_OBJECTS if table.relations & wanted else Phase.GIVE_UP, c.DropTable(table.name)


class _Cut(msgspec.Struct, frozen=True):
    """What foreign keys cannot outlive: their target's key goes, or a column on either side changes its type."""

    columns: frozenset[tuple[str, str]]
    tables: frozenset[str]
    keys: frozenset[tuple[str, frozenset[str]]]

    @classmethod
    def of(cls, pairing: Pairing, touched: dict[str, Touched]) -> _Cut:
        pairs = pairing.pairs.values()
        dropped = frozenset(table.name for table in pairing.dropped)
        rekeyed = frozenset(
            pair.after.name
            for pair in pairs
            if pair.before.primary is not None and not _same_key(pair.before.primary, pair.after.primary)
        )
        gone = frozenset(
            (pair.after.name, frozenset(key.columns))
            for pair in pairs
            for key in pair.before.uniques
            if not any(_same_key(key, other) for other in pair.after.uniques)
        )
        columns = frozenset((name, column) for name, found in touched.items() for column in found.both)
        return cls(columns=columns, tables=dropped | rekeyed, keys=gone)

    def breaks(self, table: str, foreign: Foreign) -> bool:
        return (
            foreign.table in self.tables
            or (foreign.table, frozenset(foreign.target)) in self.keys
            or any((table, column) in self.columns for column in foreign.columns)
            or any((foreign.table, column) in self.columns for column in foreign.target)
        )


class _Objects:
    """Constraints, indexes and triggers of one table."""

    def __init__(self, pair: Pair, touched: Touched, owned: frozenset[Object], cut: _Cut) -> None:
        self.pair, self.before, self.after = pair, pair.before, pair.after
        self.suspects = pair.spoken_of(touched.both)
        self.name, self.touched, self.owned, self.cut = pair.after.name, touched, owned, cut
        self.taken = pair.before.relations | {check.name for check in pair.before.checks}
        self.taken |= {foreign.name for foreign in pair.before.foreigns}

    def changes(self) -> Iterator[Phased]:
        yield from self._primary()
        yield from self._uniques()
        yield from self._checks()
        yield from self._foreigns()
        yield from self._indexes()
        if not self.before.row_security:
            yield Phase.ALTER, c.EnableRowSecurity(self.name)
        for trigger in TRIGGERS:
            if trigger in self.after.triggers and trigger not in self.before.triggers:
                yield Phase.TRIGGERS, c.AddTrigger(self.name, trigger)
            elif trigger in self.before.triggers and trigger not in self.after.triggers:
                yield Phase.DROP_OBJECTS, c.DropTrigger(self.name, trigger)

    def _owns(self, name: str, *kinds: str) -> bool:
        return any(Object(self.name, kind, name) in self.owned for kind in kinds)

    def _names(self, label: str) -> set[str]:
        """What an unfinished plan may have called something of a column, before or after a rename."""
        columns = self.pair.spoken_of(frozenset(column.name for column in self.before.columns))
        tables = (self.name, self.pair.old_name)
        return {object_name(table, column, label) for table in tables for column in columns}

    def _renamed(self, before: str, name: str) -> Iterator[Phased]:
        if before != name:
            yield Phase.RENAME_OBJECTS, c.RenameConstraint(self.name, before, name)

    def _primary(self) -> Iterator[Phased]:
        before, after = self.before.primary, self.after.primary
        if after is None:
            return
        if before is not None and _same_key(before, after) and not self.touched.replaced & set(before.columns):
            yield from self._renamed(before.name, after.name)
        else:
            yield Phase.CONSTRAIN, c.AddPrimary(self.name, after, replaces=None if before is None else before.name)

    def _uniques(self) -> Iterator[Phased]:
        left = list(self.before.uniques)
        wanted = {key.name for key in self.after.uniques}
        for after in self.after.uniques:
            same = [key for key in left if _same_key(key, after) and not self.touched.replaced & set(key.columns)]
            match = _best(same, after.name, self.taken, wanted)
            if match is None:
                yield Phase.CONSTRAIN, c.AddUnique(self.name, after)
            else:
                left.remove(match)
                yield from self._renamed(match.name, after.name)
        for key in left:
            if self._owns(key.name, "unique") or key.name in wanted or self.touched.replaced & set(key.columns):
                yield Phase.DROP_OBJECTS, c.DropConstraint(self.name, key.name)

    def _checks(self) -> Iterator[Phased]:
        left = list(self.before.checks)
        wanted = {check.name for check in self.after.checks}
        broken = [check for check in left if mentions(check.expression, self.suspects)]
        for check in self.after.checks:
            same = [found for found in left if found.expression == check.expression and found not in broken]
            match = _best(same, check.name, self.taken, wanted)
            if match is not None:
                left.remove(match)
                yield from self._renamed(match.name, check.name)
                if not match.valid:
                    yield Phase.CONSTRAIN, c.Validate(self.name, check.name)
                continue
            replaced = [found for found in left if found.name == check.name and found not in broken]
            yield Phase.CONSTRAIN, c.AddCheck(self.name, check, replaces=bool(replaced))
            left = [found for found in left if found not in replaced]
        unfinished = self._names("required")
        for check in left:
            if check in broken or check.name in unfinished:
                if self._owns(check.name, "check") or check.name in wanted | unfinished:
                    yield Phase.DROP_OBJECTS, c.DropConstraint(self.name, check.name)
            elif self._owns(check.name, "check"):
                # Late, so that what takes its place is there before.
                yield Phase.RELAX, c.DropConstraint(self.name, check.name)

    def _foreigns(self) -> Iterator[Phased]:
        left = list(self.before.foreigns)
        wanted = {foreign.name for foreign in self.after.foreigns}
        for after in self.after.foreigns:
            same = [found for found in left if _same_foreign(found, after) and not self.cut.breaks(self.name, found)]
            match = _best(same, after.name, self.taken, wanted)
            if match is None:
                replaced = [
                    found for found in left if found.name == after.name and not self.cut.breaks(self.name, found)
                ]
                yield Phase.RELATE, c.AddForeign(self.name, after, replaces=bool(replaced))
                left = [found for found in left if found not in replaced]
                continue
            left.remove(match)
            yield from self._renamed(match.name, after.name)
            if not match.valid:
                yield Phase.RELATE, c.Validate(self.name, after.name)
        for foreign in left:
            ours = self._owns(foreign.name, "foreign") or foreign.name in wanted
            if ours or self.cut.breaks(self.name, foreign):
                yield Phase.DROP_FOREIGN, c.DropConstraint(self.name, foreign.name)

    def _indexes(self) -> Iterator[Phased]:
        left = list(self.before.indexes)
        names = {index.name for index in self.after.indexes}
        for index in self.after.indexes:
            same = [found for found in left if _same_index(found, index) and found.valid and not self._breaks(found)]
            match = _best(same, index.name, self.taken, names)
            if match is not None:
                left.remove(match)
                if match.name != index.name:
                    yield Phase.RENAME_OBJECTS, c.RenameIndex(self.name, match.name, index.name)
                continue
            replaced = [found for found in left if found.name == index.name and found.valid and not self._breaks(found)]
            yield Phase.INDEX, c.AddIndex(self.name, index, replaces=bool(replaced))
            left = [found for found in left if found not in replaced]
        wanted = self.after.relations | {fitting(f"{index.name}_new") for index in self.after.indexes}
        wanted |= {object_name(table, None, "pkey_new") for table in (self.name, self.pair.old_name)}
        for found in left:
            if self._owns(found.name, "index", "unique", "primary") or found.name in wanted:
                yield Phase.DROP_OBJECTS, c.DropIndex(self.name, found.name)

    def _breaks(self, index: TableIndex) -> bool:
        columns = {field.name for field in index.fields}
        special = index.method != "btree" and bool(columns & self.touched.altered)
        return special or bool(columns & self.touched.replaced) or mentions(index.where, self.suspects)


def _best(same: Iterable[_Named], name: str, taken: frozenset[str], wanted: Iterable[str]) -> _Named | None:
    """Of objects that are what is wanted but for the name: the one of that name, else one that can take it."""
    candidates = list(same)
    named = next((item for item in candidates if item.name == name), None)
    if named is not None or name in taken:
        return named
    return next((item for item in candidates if item.name not in set(wanted)), None)


def _same_key(one: Key | None, other: Key | None) -> bool:
    return one is not None and other is not None and one.plain == other.plain and one.columns == other.columns


def _same_foreign(one: Foreign, other: Foreign) -> bool:
    fields = ("columns", "table", "target", "on_delete", "plain")
    return all(getattr(one, field) == getattr(other, field) for field in fields)


def _same_index(one: TableIndex, other: TableIndex) -> bool:
    fields = ("fields", "unique", "method", "where", "plain")
    return all(getattr(one, field) == getattr(other, field) for field in fields)
