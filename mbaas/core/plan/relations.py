"""How collections lead to each other: every foreign key both ways, and pairs of them through a junction.

``index_relations`` reads a catalog once; after that a question is a dictionary look-up. Whatever points out of the
catalog (``auth.users`` above all) leads nowhere. For a caller that must not know of hidden fields, index the catalog
that ``visible`` leaves of it.
"""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Literal, TypeAlias

import msgspec
from msgspec.structs import replace

from mbaas.core.query.errors import AmbiguousRelationship, NoRelationship
from mbaas.core.schema.catalog import Catalog, Collection, ForeignKey, Function

Cardinality: TypeAlias = Literal["many-to-one", "one-to-many", "one-to-one", "many-to-many"]
Pairs: TypeAlias = tuple[tuple[str, str], ...]

_LONGEST_NAME = 63  # PostgreSQL's; nothing longer can be a slip of the pen


class Junction(msgspec.Struct, frozen=True, kw_only=True):
    """The collection between two others, and its two foreign keys.

    source_columns: pairs (column of the source, column of the junction). target_columns: pairs (column of the junction,
    column of the target). key: both keys are within its primary key; else they are within a unique set.
    """

    collection: str
    source_key: str
    source_columns: Pairs
    target_key: str
    target_columns: Pairs
    key: bool = True


class Relation(msgspec.Struct, frozen=True, kw_only=True):
    """One way from a collection to another, perhaps itself.

    constraint: the foreign key's name, of a many-to-many the junction's collection. columns: pairs (column of the
    source, column of the target) that are equal; empty with a junction. forward: the foreign key is the source's own.
    computed: a function of the source's row that gives the target's, instead of all that.
    """

    source: str
    target: str
    cardinality: Cardinality
    constraint: str
    columns: Pairs = ()
    forward: bool = False
    junction: Junction | None = None
    computed: Function | None = None

    @property
    def to_one(self) -> bool:
        """Whether there is one record at the other end at most."""
        return self.cardinality in ("many-to-one", "one-to-one")


class Relations(msgspec.Struct, frozen=True):
    """All relations of one catalog. named: by source and by each name a target can go by without a hint."""

    named: dict[str, dict[str, tuple[Relation, ...]]]
    between: dict[str, dict[str, tuple[Relation, ...]]]

    def find(self, source: str, target: str, hint: str | None = None) -> Relation:
        """The one relation that ``target!hint`` means for ``source``.

        target: a collection, or a foreign key or its column. hint: a foreign key, a column at either end of it, or a
        junction. Raises NoRelationship, AmbiguousRelationship.
        """
        if hint is None:
            found = self.named.get(source, {}).get(target, ())
        else:
            found = tuple(
                relation for relation in self.between.get(source, {}).get(target, ()) if hint in _hints(relation)
            )
        if len(found) > 1:
            # A junction that is one by a unique set alone gives way to anything surer.
            surer = tuple(relation for relation in found if relation.junction is None or relation.junction.key)
            found = surer or found
        if len(found) == 1:
            return found[0]
        if not found:
            raise NoRelationship(source, target, hint, perhaps=self._perhaps(source, target))
        raise AmbiguousRelationship(source, target, tuple(map(_described, found)), _spellings(found))

    def of(self, source: str) -> tuple[Relation, ...]:
        """Every relation of one collection."""
        return tuple(relation for found in self.between.get(source, {}).values() for relation in found)

    def _perhaps(self, source: str, target: str) -> str | None:
        known = self.between.get(source, {})
        if target in known or len(target) > _LONGEST_NAME:
            return None
        return next(iter(difflib.get_close_matches(target, known, n=1, cutoff=0.75)), None)


def find_relations(catalog: Catalog, source: str, target: str, hint: str | None = None) -> Relation:
    """``Relations.find`` for a single question. Who asks more often keeps the index."""
    return index_relations(catalog).find(source, target, hint)


def index_relations(catalog: Catalog, whole: Catalog | None = None) -> Relations:
    """Every relation there is between collections of a catalog.

    whole: the one of which ``catalog`` is what somebody may see: a view may stand on tables that are not shown.
    """
    named: dict[str, dict[str, list[Relation]]] = defaultdict(lambda: defaultdict(list))
    between: dict[str, dict[str, list[Relation]]] = defaultdict(lambda: defaultdict(list))
    for collection in catalog.collections.values():
        keys = [key for key in collection.foreign_keys if key.reference.table in catalog.collections]
        relations = [relation for key in keys for relation in _both_ways(catalog, collection, key)]
        relations += _through(catalog, collection, keys)
        for relation in relations:
            between[relation.source][relation.target].append(relation)
            for name in _names(relation):
                named[relation.source][name].append(relation)
    for collection_name, targets in between.items():
        # A collection related to itself only through a junction has no other bearer of its name.
        if collection_name in targets and not named[collection_name][collection_name]:
            named[collection_name][collection_name] = [r for r in targets[collection_name] if r.junction is not None]
    for relation in _of_views(catalog, catalog if whole is None else whole):
        between[relation.source][relation.target].append(relation)
        for name in _names(relation) if catalog.collections[relation.source].view else {relation.target}:
            named[relation.source][name].append(relation)
    for relation in _computed(catalog):
        between[relation.source][relation.target].append(relation)
        named[relation.source][relation.constraint] = [relation]  # a name that is given is meant
    return Relations(_frozen(named), _frozen(between))


def _frozen(index: dict[str, dict[str, list[Relation]]]) -> dict[str, dict[str, tuple[Relation, ...]]]:
    return {source: {name: tuple(found) for name, found in names.items() if found} for source, names in index.items()}


def _of_views(catalog: Catalog, whole: Catalog) -> list[Relation]:
    """What leads from and to the tables of a view's columns leads from and to the view, if it shows these columns."""
    if not any(collection.view for collection in catalog.collections.values()):
        return []
    tables = {name: made for name, made in whole.collections.items() if not made.view}
    between = index_relations(replace(whole, collections=tables, functions=())).between
    found = []
    for view in catalog.collections.values():
        shown: dict[str, dict[str, str]] = defaultdict(dict)
        for column, (table, origin) in view.origins.items():
            if view.field(column) is not None:
                shown[table].setdefault(origin, column)
        for table, columns in shown.items():
            for relations in between.get(table, {}).values():
                found += [moved for one in relations if (moved := _from_view(one, view.name, columns)) is not None]
            for source, targets in between.items():
                relations = targets.get(table, ()) if source != table else ()
                found += [moved for one in relations if (moved := _to_view(one, view.name, columns)) is not None]
    return [relation for relation in found if _is_shown(relation, catalog)]


def _is_shown(relation: Relation, catalog: Catalog) -> bool:
    """Whether everything it goes by is in the catalog."""
    junction = relation.junction
    pairs = [(relation.source, relation.target, relation.columns)]
    if junction is not None:
        pairs = [
            (relation.source, junction.collection, junction.source_columns),
            (junction.collection, relation.target, junction.target_columns),
        ]
    for source, target, columns in pairs:
        one, other = catalog.collection(source), catalog.collection(target)
        if one is None or other is None:
            return False
        if any(one.field(ours) is None or other.field(theirs) is None for ours, theirs in columns):
            return False
    return True


def _from_view(relation: Relation, view: str, columns: Mapping[str, str]) -> Relation | None:
    junction = relation.junction
    pairs = relation.columns if junction is None else junction.source_columns
    if any(ours not in columns for ours, _ in pairs):
        return None
    renamed = tuple((columns[ours], theirs) for ours, theirs in pairs)
    if junction is not None:
        return replace(relation, source=view, junction=replace(junction, source_columns=renamed))
    return replace(relation, source=view, columns=renamed)


def _to_view(relation: Relation, view: str, columns: Mapping[str, str]) -> Relation | None:
    junction = relation.junction
    pairs = relation.columns if junction is None else junction.target_columns
    if any(theirs not in columns for _, theirs in pairs):
        return None
    renamed = tuple((ours, columns[theirs]) for ours, theirs in pairs)
    if junction is not None:
        return replace(relation, target=view, junction=replace(junction, target_columns=renamed))
    return replace(relation, target=view, columns=renamed)


def _computed(catalog: Catalog) -> Iterator[Relation]:
    """Functions that take a row of one collection and give rows of one."""
    for function in catalog.functions:
        source, target = function.of, function.collection
        if source in catalog.collections and target in catalog.collections and function.volatility != "volatile":
            many = function.returns_set and not function.one_row
            yield Relation(
                source=source,
                target=target,
                cardinality="one-to-many" if many else "many-to-one",
                constraint=function.name,
                computed=function,
            )


def _both_ways(catalog: Catalog, collection: Collection, key: ForeignKey) -> tuple[Relation, Relation]:
    """A foreign key as seen by its owner and by the collection it points to."""
    target = key.reference.table
    columns = tuple(zip(key.columns, _referenced(catalog, key), strict=True))
    single = any(set(unique) <= set(key.columns) for unique in collection.unique_sets if unique)
    forward = Relation(
        source=collection.name,
        target=target,
        cardinality="one-to-one" if single else "many-to-one",
        constraint=key.name,
        columns=columns,
        forward=True,
    )
    backward = Relation(
        source=target,
        target=collection.name,
        cardinality="one-to-one" if single else "one-to-many",
        constraint=key.name,
        columns=tuple((theirs, ours) for ours, theirs in columns),
    )
    return forward, backward


def _through(catalog: Catalog, junction: Collection, keys: list[ForeignKey]) -> list[Relation]:
    """Many-to-many by two foreign keys that lie together within the key or within a unique set."""
    found = []
    for first in keys:
        for second in keys:
            columns = {*first.columns, *second.columns}
            if first.name == second.name or not any(columns <= set(unique) for unique in junction.unique_sets):
                continue
            found.append(
                Relation(
                    source=first.reference.table,
                    target=second.reference.table,
                    cardinality="many-to-many",
                    constraint=junction.name,
                    junction=Junction(
                        collection=junction.name,
                        source_key=first.name,
                        source_columns=tuple(zip(_referenced(catalog, first), first.columns, strict=True)),
                        target_key=second.name,
                        target_columns=tuple(zip(second.columns, _referenced(catalog, second), strict=True)),
                        key=columns <= set(junction.key),
                    ),
                )
            )
    return found


def _referenced(catalog: Catalog, key: ForeignKey) -> tuple[str, ...]:
    return key.reference.columns or catalog.collections[key.reference.table].key


def _names(relation: Relation) -> set[str]:
    """What a target may be called without a hint.

    To itself a collection leads backward by its own name (``children:nodes(*)``) and forward by the column
    (``parent(*)``), as PostgREST has it.
    """
    own_column = {relation.columns[0][0]} if relation.forward and len(relation.columns) == 1 else set()
    if relation.source == relation.target:
        return own_column if relation.forward or relation.junction is not None else {relation.target}
    if relation.junction is not None:
        return {relation.target}
    return {relation.target, relation.constraint} | own_column


def _hints(relation: Relation) -> set[str]:
    """What may stand after ``!`` to mean this relation."""
    junction = relation.junction
    if relation.computed is not None:
        return {relation.constraint}
    if junction is not None:
        hints = {junction.collection, junction.target_key}
        if len(junction.target_columns) == 1:
            hints.add(junction.target_columns[0][0])
        if relation.source != relation.target:
            hints.add(junction.source_key)
        return hints
    if relation.source == relation.target and relation.forward:
        return set()  # forward it is reached by its column's name alone
    hints = {relation.constraint}
    if len(relation.columns) == 1:
        ours, theirs = relation.columns[0]
        hints |= {theirs} if relation.source == relation.target else {ours, theirs}
    return hints


def _described(relation: Relation) -> dict[str, str]:
    """A candidate as PostgREST words it."""
    junction = relation.junction
    if junction is not None:
        first = ", ".join(column for _, column in junction.source_columns)
        second = ", ".join(column for column, _ in junction.target_columns)
        using = f"{junction.source_key}({first}) and {junction.target_key}({second})"
    else:
        ours = ", ".join(column for column, _ in relation.columns)
        theirs = ", ".join(column for _, column in relation.columns)
        using = f"{relation.source}({ours}) and {relation.target}({theirs})"
    return {
        "cardinality": relation.cardinality,
        "embedding": f"{relation.source} with {relation.target}",
        "relationship": f"{relation.constraint} using {using}",
    }


def _spellings(found: tuple[Relation, ...]) -> tuple[str, ...]:
    """What to write for each candidate: its constraint or junction; where two share it, the junction's key."""
    constraints = [relation.constraint for relation in found]
    return tuple(
        f"{relation.target}!{relation.constraint}"
        if relation.junction is None or constraints.count(relation.constraint) == 1
        else f"{relation.target}!{relation.junction.target_key}"
        for relation in found
    )
