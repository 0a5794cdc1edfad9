"""Selections become plans: each list and record an embed of the one around it, so that a whole tree is one statement.

Every level has keys of its own ("k1", "k2" ...) for what it puts out; the shapes made beside the plan know them.
"""

from __future__ import annotations

import base64
import binascii
import itertools
from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec
from graphql import FieldNode, GraphQLField, GraphQLObjectType, get_named_type

from mbaas.core.errors import InvalidValue, QueryError
from mbaas.core.expr.types import TRUE, Binary, Cast, Column, Expr, all_of
from mbaas.core.plan.conditions import Owner, typed_value
from mbaas.core.plan.relations import Relation
from mbaas.core.plan.types import (
    AggregateOutput,
    Answer,
    Embed,
    EmbedOutput,
    FieldOutput,
    ListPlan,
    Order,
    Output,
    ReadPlan,
)
from mbaas.modules.records.graphql import shapes
from mbaas.modules.records.graphql.budget import Budget
from mbaas.modules.records.graphql.cursors import beyond, read_cursor
from mbaas.modules.records.graphql.filters import Filters, spelled, terms_of
from mbaas.modules.records.graphql.schema import ColumnMeaning, LinkMeaning, RoleSchema, Served
from mbaas.modules.records.graphql.selections import Grouped, Selections
from mbaas.modules.records.graphql.shapes import Cursors, ListShape, NodeShape, Part

PAGE_SIZE = 30
"""Records of a list that says neither ``first`` nor ``last``, as pg_graphql has it."""
TYPE_NAME = "__typename"
Plans: TypeAlias = tuple[ListPlan, ...]
"""What a root field reads: the first gives its rows, the last its total."""
Finish: TypeAlias = Callable[[list[shapes.Row], int | None], Any]
"""Makes the value of a root field of its rows and of how many there are in all."""


class Level:
    """The outputs and embeds of one plan while it is put together."""

    def __init__(self, served: Served, aliases: itertools.count[int]) -> None:
        self.served = served
        self.aliases = aliases
        self.embeds: list[Embed] = []
        self._outputs: list[Output] = []
        self._keys: dict[Expr, str] = {}

    def value(self, expr: Expr) -> str:
        """The key under which it goes out; asked for twice it goes out once."""
        key = self._keys.get(expr)
        if key is None:
            key = self._keys[expr] = self._next()
            self._outputs.append(FieldOutput(key, expr))
        return key

    def text(self, column: str) -> str:
        """The key of a column's value as text."""
        return self.value(Cast(Column(column), "text"))

    def embed(self, relation: Relation, plan: ReadPlan) -> str:
        key, alias = self._next(), f"e{next(self.aliases)}"
        self.embeds.append(Embed(alias=alias, relation=relation, plan=plan))
        self._outputs.append(EmbedOutput(key, alias))
        return key

    def plan(
        self, where: Expr = TRUE, order: tuple[Order, ...] = (), limit: int | None = None, offset: int = 0
    ) -> ReadPlan:
        if not self._outputs:
            self.value(Column(self.served.collection.key[0]))  # a row must have something to be seen by
        return ReadPlan(
            collection=self.served.collection,
            outputs=tuple(self._outputs),
            where=where,
            order=order,
            limit=limit,
            offset=offset,
            embeds=tuple(self.embeds),
        )

    def _next(self) -> str:
        return f"k{len(self._outputs) + 1}"


class Window(msgspec.Struct, frozen=True):
    """size: rows to show. cursor: where to begin."""

    size: int
    backward: bool
    offset: int
    cursor: str | None


class Reader:
    """Makes plans of the selections of one operation. max_rows: the longest list at any level."""

    def __init__(self, schema: RoleSchema, selections: Selections, budget: Budget, *, max_rows: int) -> None:
        self.schema = schema
        self.selections = selections
        self.budget = budget
        self._max_rows = max_rows

    def connection(self, collection: str, field: GraphQLField, nodes: list[FieldNode]) -> tuple[Plans, Finish]:
        """A list at the root. A total is of all that the filter lets through, wherever a cursor stands."""
        level = Level(self.schema.served[collection], itertools.count(1))
        given = self.selections.arguments(field, nodes[0])
        self.budget.records(self.window(given).size, 1)
        fields = self.selections.below(self._type(f"{collection}Connection"), nodes)
        listed = self._list(level, fields, given, parents=1, depth=1)
        counts = Answer(total="exact" if listed.total else None)
        if not listed.total or listed.plan.where == listed.where:
            return (ListPlan(rows=listed.plan, answer=counts),), listed.shape.of
        counted = Level(level.served, itertools.count(1)).plan(where=listed.where, limit=0)
        return (ListPlan(rows=listed.plan), ListPlan(rows=counted, answer=counts)), listed.shape.of

    def record(self, collection: str, key: tuple[str, ...], nodes: list[FieldNode]) -> tuple[Plans, Finish]:
        """A record by its key, in PostgreSQL's input form; ``null`` when there is none that the caller may see."""
        served = self.schema.served[collection]
        level = Level(served, itertools.count(1))
        self.budget.records(1, 1)
        shape = self.node(level, self.selections.below(self._type(collection), nodes), parents=1, depth=1)
        columns = served.collection.key
        where = all_of(
            *(
                Binary("=", Column(name), typed_value(text, served.columns[name]))
                for name, text in zip(columns, key, strict=True)
            )
        )
        plan = level.plan(where=where, limit=1)
        return (ListPlan(rows=plan),), lambda rows, _: shape.of(rows[0]) if rows else None

    def records(self, level: Level, nodes: list[FieldNode], count: int) -> NodeShape:
        """Records that a write gives back. count: how many there may be."""
        self.budget.records(count, 1)
        fields = self.selections.below(self._type(level.served.collection.name), nodes)
        return self.node(level, fields, parents=count, depth=1)

    def _type(self, name: str) -> GraphQLObjectType:
        found = self.schema.graphql.type_map[name]
        assert isinstance(found, GraphQLObjectType), "asked for by names of our own"  # noqa: S101
        return found

    def node(self, level: Level, fields: Grouped, *, parents: int, depth: int) -> NodeShape:
        """What a record shows. parents: how many such records there may be."""
        served = level.served
        node_type = self._type(served.collection.name)
        parts: dict[str, Part] = {}
        for key, nodes in fields.items():
            name = nodes[0].name.value
            if name == TYPE_NAME:
                parts[key] = shapes.constant(served.collection.name)
                continue
            meaning = served.meanings[name]
            if isinstance(meaning, ColumnMeaning):
                column: Expr = Column(meaning.name)
                parts[key] = shapes.value_at(
                    level.value(column if meaning.as_text is None else Cast(column, meaning.as_text))
                )
            elif isinstance(meaning, LinkMeaning):
                parts[key] = self._link(level, meaning.relation, node_type.fields[name], nodes, parents, depth + 1)
            else:
                keys = tuple(level.text(column) for column in served.collection.key)
                parts[key] = shapes.node_id_at(served.collection.name, keys)
        return NodeShape(parts)

    def _link(
        self, level: Level, relation: Relation, field: GraphQLField, nodes: list[FieldNode], parents: int, depth: int
    ) -> Part:
        target = self.schema.served[relation.target]
        below = Level(target, level.aliases)
        fields = self.selections.below(self._type(get_named_type(field.type).name), nodes)
        if relation.to_one:
            self.budget.records(parents, depth)
            shape = self.node(below, fields, parents=parents, depth=depth)
            return shapes.record_at(level.embed(relation, below.plan(limit=1)), shape)
        given = self.selections.arguments(field, nodes[0])
        self.budget.records(parents * self.window(given).size, depth)
        listed = self._list(below, fields, given, parents=parents, depth=depth)
        rows = level.embed(relation, listed.plan) if listed.rows else None
        total = None
        if listed.total:
            counted = ReadPlan(
                collection=target.collection,
                outputs=(AggregateOutput(shapes.COUNTED, "count"),),
                where=listed.where,
                grouped=True,
            )
            total = level.embed(relation, counted)
        return shapes.list_at(rows, total, listed.shape)

    def _list(self, level: Level, fields: Grouped, given: dict[str, Any], *, parents: int, depth: int) -> _Listed:
        served = level.served
        window = self.window(given)
        terms = terms_of(given.get("orderBy"), served.collection.key, served.columns, served.required)
        owner = Owner(served.collection.name, served.columns)
        where = Filters(owner, count=self.budget.condition).expr(given.get("filter"))
        parts: dict[str, Callable[[shapes.Page], Any]] = {}
        rows = cursors = total = False
        for key, nodes in fields.items():
            name = nodes[0].name.value
            if name == TYPE_NAME:
                parts[key] = shapes.constant(f"{served.collection.name}Connection")
            elif name == "totalCount":
                parts[key], total = shapes.total, True
            elif name == "pageInfo":
                parts[key], cursors, rows = self._page_info(nodes), True, True
            else:
                parts[key], asked = self._edges(level, nodes, parents * window.size, depth)
                cursors, rows = cursors or asked, True
        keys = tuple(level.text(term.name) for term in terms) if cursors else ()
        shape = ListShape(
            parts=parts,
            cursors=Cursors(terms, keys),
            size=window.size,
            backward=window.backward,
            behind=window.cursor is not None or window.offset > 0,
        )
        shown = where
        if window.cursor is not None:
            at = read_cursor(window.cursor, terms)
            shown = all_of(where, beyond(terms, at, backward=window.backward))
        plan = level.plan(
            where=shown,
            order=tuple(term.order(backward=window.backward) for term in terms),
            limit=window.size + 1 if rows else 0,
            offset=window.offset,
        )
        return _Listed(plan, where, shape, rows, total)

    def _edges(
        self, level: Level, nodes: list[FieldNode], records: int, depth: int
    ) -> tuple[Callable[[shapes.Page], Any], bool]:
        name = level.served.collection.name
        edge = self._type(f"{name}Edge")
        parts: dict[str, Callable[[shapes.Page, shapes.Row], Any]] = {}
        cursors = False
        for key, below in self.selections.below(edge, nodes).items():
            field = below[0].name.value
            if field == TYPE_NAME:
                parts[key] = shapes.edge_constant(edge.name)
            elif field == "cursor":
                parts[key], cursors = shapes.edge_cursor, True
            else:
                selected = self.selections.below(self._type(name), below)
                parts[key] = shapes.edge_node(self.node(level, selected, parents=records, depth=depth))
        return shapes.edges(parts), cursors

    def _page_info(self, nodes: list[FieldNode]) -> Callable[[shapes.Page], Any]:
        info = self._type("PageInfo")
        parts: dict[str, Callable[[shapes.Page], Any]] = {}
        for key, below in self.selections.below(info, nodes).items():
            name = below[0].name.value
            parts[key] = shapes.constant(info.name) if name == TYPE_NAME else shapes.PAGE_INFO[name]
        return shapes.page_info(parts)

    def window(self, given: dict[str, Any]) -> Window:
        """Raises QueryError for arguments that do not go together."""
        first, last, before, after = (given.get(name) for name in ("first", "last", "before", "after"))
        offset = given.get("offset") or 0
        for name, number in (("first", first), ("last", last), ("offset", offset)):
            if number is not None and number < 0:
                raise InvalidValue(f"{name} is {number}, less than nothing")
        if first is not None and last is not None:
            raise QueryError("first and last cannot go together", hint="page forward or backward")
        if before is not None and after is not None:
            raise QueryError("before and after cannot go together", hint="page forward or backward")
        if (before is not None and first is not None) or (after is not None and last is not None):
            raise QueryError("the cursor points the other way", hint="first goes with after, last with before")
        backward = last is not None or before is not None
        size = first if last is None else last
        return Window(min(PAGE_SIZE if size is None else size, self._max_rows), backward, offset, after or before)


class _Listed(msgspec.Struct, frozen=True):
    """where: without the place that a cursor holds. rows, total: whether they are asked for."""

    plan: ReadPlan
    where: Expr
    shape: ListShape
    rows: bool
    total: bool


def read_node_id(text: str) -> tuple[str, tuple[str, ...]]:
    """The collection and the key. Raises InvalidValue."""
    try:
        schema, collection, *key = msgspec.json.decode(base64.b64decode(text, validate=True), type=list[str])
        if schema == "public":
            return collection, tuple(key)
    except (ValueError, binascii.Error, msgspec.MsgspecError):
        pass
    raise InvalidValue("this is no nodeId of ours")


def key_of(served: Served, given: dict[str, Any]) -> tuple[str, ...]:
    return tuple(spelled(given[name]) for name in served.collection.key)
