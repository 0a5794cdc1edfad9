"""Writes meet the catalog: which fields a payload may set, what a conflict means, what goes back."""

from __future__ import annotations

from collections.abc import Iterable

from mbaas.core.errors import UnknownField, UnknownPayloadField
from mbaas.core.expr.types import Column
from mbaas.core.plan.errors import NoUniqueTarget
from mbaas.core.plan.resolve import Resolver
from mbaas.core.plan.types import Answer, Conflict, DeletePlan, FieldOutput, InsertPlan, ReadPlan, UpdatePlan
from mbaas.core.plan.words import refuse_words
from mbaas.core.query.errors import Unsupported, ViewNotWritten
from mbaas.core.query.types import DeleteQuery, InsertQuery, Preferences, UpdateQuery
from mbaas.core.schema.catalog import Collection, Field


def resolve_insert(query: InsertQuery, resolver: Resolver) -> InsertPlan:
    collection = _writable(query.collection, resolver)
    refuse_words(query.parts, resolver.owner(collection), "a write")
    fields = tuple(field for field in _named(query.columns, collection, resolver) if resolver.writes(collection, field))
    return InsertPlan(
        collection=collection,
        payload=query.payload,
        fields=fields,
        missing_default=query.preferences.missing == "default",
        conflict=_conflict(query, collection, fields, resolver),
        defaults=resolver.names.defaults(collection.name),
        answer=_answer(query, collection, resolver),
    )


def resolve_update(query: UpdateQuery, resolver: Resolver) -> UpdatePlan:
    """A payload whose fields are all dropped still hits its rows: they are found, and given back."""
    _check_window(query)
    collection = _writable(query.collection, resolver)
    named = _named(query.columns, collection, resolver)
    fixed = tuple(field for field in named if resolver.fixes(collection, field))
    where, computed = resolver.where(collection, query.parts)
    return UpdatePlan(
        collection=collection,
        payload=query.payload,
        fields=tuple(field for field in named if resolver.writes(collection, field) and field not in fixed),
        fixed=fixed,
        where=where,
        computed=computed,
        answer=_answer(query, collection, resolver),
    )


def resolve_delete(query: DeleteQuery, resolver: Resolver) -> DeletePlan:
    _check_window(query)
    collection = _writable(query.collection, resolver)
    where, computed = resolver.where(collection, query.parts)
    return DeletePlan(
        collection=collection,
        where=where,
        computed=computed,
        answer=_answer(query, collection, resolver),
    )


def _writable(name: str, resolver: Resolver) -> Collection:
    collection = resolver.collection(name)
    if collection.view:
        raise ViewNotWritten(name)
    return collection


def _named(columns: Iterable[str], collection: Collection, resolver: Resolver) -> tuple[Field, ...]:
    known = resolver.columns(collection.name)
    fields = []
    for name in dict.fromkeys(columns):
        field = collection.field(name) if name in known else None
        if field is None:
            raise UnknownPayloadField.of(collection.name, name)
        fields.append(field)
    return tuple(fields)


def _conflict(
    query: InsertQuery, collection: Collection, fields: tuple[Field, ...], resolver: Resolver
) -> Conflict | None:
    resolution = query.preferences.resolution
    if resolution is None:
        return None
    target = query.on_conflict or collection.key
    known = resolver.columns(collection.name)
    for name in target:
        if name not in known:
            raise UnknownField.of(collection.name, name)
    if not target or set(target) not in [set(columns) for columns in collection.unique_sets]:
        raise NoUniqueTarget()
    if resolution == "ignore-duplicates":
        return Conflict(target=target, update=None)
    update = tuple(field.name for field in fields if field.name not in target and not resolver.fixes(collection, field))
    return Conflict(target=target, update=update)


def _answer(query: InsertQuery | UpdateQuery | DeleteQuery, collection: Collection, resolver: Resolver) -> Answer:
    preferences = query.preferences
    rows, location = None, False
    if preferences.representation == "representation":
        rows = resolver.returned(collection, query.parts)
    elif preferences.representation == "headers-only" and isinstance(query, InsertQuery):
        rows = _key(collection, resolver)
        location = rows is not None
    return Answer(
        rows=rows,
        location=location,
        singular=query.media.kind == "object",
        stripped=query.media.stripped,
        max_affected=max_affected(preferences),
        rollback=preferences.transaction == "rollback",
    )


def max_affected(preferences: Preferences) -> int | None:
    """Only a strict caller's limit counts (PostgREST's documentation, "Max Affected")."""
    return preferences.max_affected if preferences.handling == "strict" else None


def _key(collection: Collection, resolver: Resolver) -> ReadPlan | None:
    known = resolver.columns(collection.name)
    if not collection.key or not all(name in known for name in collection.key):
        return None
    return ReadPlan(
        collection=collection, outputs=tuple(FieldOutput(name, Column(name)) for name in collection.key), limit=1
    )


def _check_window(query: UpdateQuery | DeleteQuery) -> None:
    """A limit would look as if it kept rows from being written."""
    if () in query.parts.windows:
        raise Unsupported("limit and offset on a write")
