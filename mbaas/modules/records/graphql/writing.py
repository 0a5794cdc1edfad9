"""Mutations become the plans that REST's writes are, so that the same rules, hooks and guards meet them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec
from graphql import FieldNode, GraphQLField, GraphQLObjectType, get_named_type

from mbaas.core.errors import QueryError
from mbaas.core.expr.types import Expr
from mbaas.core.plan.conditions import Owner
from mbaas.core.plan.resolve import Resolver
from mbaas.core.plan.types import Answer, DeletePlan, InsertPlan, UpdatePlan, WritePlan
from mbaas.core.plan.writes import resolve_delete, resolve_insert, resolve_update
from mbaas.core.query.body import parse_insert, parse_update
from mbaas.core.query.limits import Limits
from mbaas.core.query.types import DeleteQuery, InsertQuery, Preferences, UpdateQuery
from mbaas.modules.records.graphql import shapes
from mbaas.modules.records.graphql.filters import Filters
from mbaas.modules.records.graphql.reading import TYPE_NAME, Level, Reader
from mbaas.modules.records.graphql.schema import Root
from mbaas.modules.records.graphql.shapes import NodeShape, Row
from mbaas.modules.records.results import Written

Finished: TypeAlias = Callable[[Written], Row]


class Writer:
    """Makes plans of the root fields of one mutation."""

    def __init__(self, reader: Reader, resolver: Resolver, limits: Limits) -> None:
        self._reader = reader
        self._resolver = resolver
        self._limits = limits

    def write(self, root: Root, field: GraphQLField, nodes: list[FieldNode]) -> tuple[WritePlan, Finished]:
        """The plan, and what makes the answer of its outcome."""
        collection = root.collection or ""
        given = self._reader.selections.arguments(field, nodes[0])
        if root.kind == "insert":
            written: WritePlan = self._insert(collection, given["objects"])
            rows = len(given["objects"])
        else:
            rows = given["atMost"]
            where = self._where(collection, given.get("filter"))
            if root.kind == "update":
                written = self._update(collection, given["set"], where)
            else:
                written = self._delete(collection, where)
        answer, finish = self._answer(collection, field, nodes, rows=rows, limited=root.kind != "insert")
        return msgspec.structs.replace(written, answer=answer), finish

    def _insert(self, collection: str, objects: list[dict[str, Any]]) -> InsertPlan:
        if not objects:
            raise QueryError("objects is empty", hint="give at least one object")
        columns = {name for one in objects for name in one}
        payload = parse_insert(msgspec.json.encode(objects), columns=tuple(columns), limits=self._limits)
        query = InsertQuery(
            collection=collection,
            payload=payload.text,
            columns=payload.columns,
            preferences=Preferences(missing="default"),
        )
        return resolve_insert(query, self._resolver)

    def _update(self, collection: str, values: dict[str, Any], where: Expr) -> UpdatePlan:
        if not values:
            raise QueryError("set is empty", hint="name at least one field")
        payload = parse_update(msgspec.json.encode(values), limits=self._limits)
        query = UpdateQuery(collection=collection, payload=payload.text, columns=payload.columns)
        return msgspec.structs.replace(resolve_update(query, self._resolver), where=where)

    def _delete(self, collection: str, where: Expr) -> DeletePlan:
        return msgspec.structs.replace(resolve_delete(DeleteQuery(collection=collection), self._resolver), where=where)

    def _where(self, collection: str, given: dict[str, Any] | None) -> Expr:
        served = self._reader.schema.served[collection]
        owner = Owner(collection, served.columns)
        return Filters(owner, count=self._reader.budget.condition, strict=True).expr(given)

    def _answer(
        self, collection: str, field: GraphQLField, nodes: list[FieldNode], *, rows: int, limited: bool
    ) -> tuple[Answer, Finished]:
        """limited: more rows than that and nothing happens."""
        if limited and rows < 0:
            raise QueryError(f"atMost is {rows}, less than nothing")
        level = Level(self._reader.schema.served[collection], itertools.count(1))
        response = get_named_type(field.type)
        assert isinstance(response, GraphQLObjectType), "a mutation answers with an object"  # noqa: S101
        parts: dict[str, Callable[[int, list[Row]], Any]] = {}
        returned = False
        for key, below in self._reader.selections.below(response, nodes).items():
            name = below[0].name.value
            if name == TYPE_NAME:
                parts[key] = _constant(response.name)
            elif name == "affectedCount":
                parts[key] = _affected
            else:
                returned = True
                parts[key] = _records(self._reader.records(level, below, rows))
        answer = Answer(rows=level.plan() if returned else None, max_affected=rows if limited else None)

        def finish(written: Written) -> Row:
            found = [] if written.page is None else msgspec.json.decode(written.page.body)
            return {key: part(written.affected, found) for key, part in parts.items()}

        return answer, finish


def _constant(value: str) -> Callable[[int, list[Row]], Any]:
    return lambda _count, _rows: value


def _affected(count: int, _: list[Row]) -> int:
    return count


def _records(shape: NodeShape) -> Callable[[int, list[Row]], list[shapes.Row]]:
    return lambda _, rows: [shape.of(row) for row in rows]
