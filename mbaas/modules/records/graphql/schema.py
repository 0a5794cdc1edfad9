"""What a role may ask for, as a GraphQL schema, and what each of its fields means.

Made of the catalog once a role and snapshot. What a role cannot reach by any rule is not in it: a collection without a
select rule has no queries, a write without a rule has no mutation, a hidden field no name.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec
from graphql import (
    GraphQLArgument,
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLField,
    GraphQLID,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInt,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLString,
)

from mbaas.core.expr.types import FALSE, TRUE
from mbaas.core.identity import Role
from mbaas.core.plan.names import ColumnType, column_type
from mbaas.core.plan.relations import Relation, Relations, index_relations
from mbaas.core.plan.visible import visible
from mbaas.core.rules.ruleset import OPERATIONS, RuleSet
from mbaas.core.schema.catalog import Catalog, Collection, Field, Operation
from mbaas.modules.records.graphql import kinds
from mbaas.modules.records.graphql.filters import LOGIC
from mbaas.modules.records.graphql.names import is_name, relation_names, type_names

NODE_ID = "nodeId"


class ColumnMeaning(msgspec.Struct, frozen=True):
    """A field of the collection. as_text: PostgreSQL's type to which it is cast on its way out."""

    name: str
    as_text: str | None = None


class LinkMeaning(msgspec.Struct, frozen=True):
    """The records at the other end."""

    relation: Relation


class NodeIdMeaning(msgspec.Struct, frozen=True):
    """The record's place among all records."""


Meaning: TypeAlias = ColumnMeaning | LinkMeaning | NodeIdMeaning


class Root(msgspec.Struct, frozen=True):
    """A field of Query or Mutation. collection: ``None`` for ``node``."""

    kind: Literal["list", "key", "node", "insert", "update", "delete"]
    collection: str | None = None


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """A collection in a schema.

    collection: whole, as the rules know it. columns: those of the role. required: of these, those never null to it.
    meanings: of the fields of its type.
    """

    collection: Collection
    columns: dict[str, ColumnType]
    required: frozenset[str]
    meanings: dict[str, Meaning]


class RoleSchema(msgspec.Struct, frozen=True):
    """A schema for one role. served: by the name of collection and type."""

    graphql: GraphQLSchema
    roots: dict[str, Root]
    served: dict[str, Served]


def schema_for(rules: RuleSet, role: Role) -> RoleSchema:
    """The schema of everything that some rule could let the role do."""
    return _Maker(rules, role).schema()


_PAGE_INFO = GraphQLObjectType(
    "PageInfo",
    {
        "hasNextPage": GraphQLField(GraphQLNonNull(GraphQLBoolean)),
        "hasPreviousPage": GraphQLField(GraphQLNonNull(GraphQLBoolean)),
        "startCursor": GraphQLField(GraphQLString),
        "endCursor": GraphQLField(GraphQLString),
    },
)
_DIRECTION = GraphQLEnumType(
    "OrderByDirection",
    {
        "AscNullsFirst": (False, True),
        "AscNullsLast": (False, False),
        "DescNullsFirst": (True, True),
        "DescNullsLast": (True, False),
    },
)
_FILTER_IS = GraphQLEnumType("FilterIs", {"NULL": "null", "NOT_NULL": "not_null"})
_SCALARS = (
    *("Int", "Float", "String", "Boolean", "ID", "UUID", "Datetime", "Date", "Time", "BigInt", "BigFloat", "Opaque"),
    *("Cursor", "JSON", "PlainJSON"),
)
_OWN = frozenset(
    (
        *("Query", "Mutation", "PageInfo", "OrderByDirection", "FilterIs", "Node"),
        *(name + ending for name in _SCALARS for ending in ("", "Filter", "ListFilter")),
    )
)
_Filterable: TypeAlias = GraphQLScalarType | GraphQLEnumType


class _Maker:
    def __init__(self, rules: RuleSet, role: Role) -> None:
        self.rules = rules
        self.bypasses = role == "service_role"
        self.catalog = visible(rules.catalog, role)
        self.node = GraphQLInterfaceType("Node", {NODE_ID: GraphQLField(GraphQLNonNull(GraphQLID))})
        self.filters: dict[str, GraphQLInputObjectType] = {}
        self.types: dict[str, GraphQLObjectType] = {}
        self.connections: dict[str, GraphQLObjectType] = {}
        self.filter_of: dict[str, GraphQLInputObjectType] = {}
        self.order_of: dict[str, GraphQLInputObjectType] = {}
        self.enums: dict[tuple[str, str], GraphQLEnumType] = {}
        self.served: dict[str, Served] = {}
        self.roots: dict[str, Root] = {}

    def schema(self) -> RoleSchema:
        chosen = self._chosen()
        readable = {name: one for name, one in chosen.items() if self._may(name, "select")}
        relations = index_relations(Catalog(collections=readable))
        for collection in chosen.values():
            self.served[collection.name] = self._serve(collection, relations)
        for name in readable:
            self._types(name)
        queries = {"node": GraphQLField(self.node, {NODE_ID: GraphQLArgument(GraphQLNonNull(GraphQLID))})}
        self.roots["node"] = Root("node")
        mutations: dict[str, GraphQLField] = {}
        for name in readable:
            self._queries(name, queries)
        for name in chosen:
            self._mutations(name, mutations)
        made = GraphQLSchema(
            query=GraphQLObjectType("Query", queries),
            mutation=GraphQLObjectType("Mutation", mutations) if mutations else None,
            types=[self.types[name] for name in readable],
        )
        return RoleSchema(made, self.roots, self.served)

    def _chosen(self) -> dict[str, Collection]:
        """Collections that have a key, for cursors to end with, and names that are free."""
        taken = set(_OWN)
        chosen: dict[str, Collection] = {}
        for name, collection in self.catalog.collections.items():
            names = type_names(name)
            fields = {field.name for field in collection.fields if is_name(field.name)}
            if not is_name(name) or not collection.key or not fields.issuperset(collection.key):
                continue
            if taken.isdisjoint(names) and any(self._may(name, operation) for operation in OPERATIONS):
                taken.update(names)
                chosen[name] = collection
        for name, collection in chosen.items():
            for field in collection.fields:
                enum = kinds.enum_of(name, field, is_name)
                if enum is not None and taken.isdisjoint((enum.name, f"{enum.name}Filter")):
                    taken.update((enum.name, f"{enum.name}Filter"))
                    self.enums[name, field.name] = enum
        return chosen

    def _may(self, collection: str, operation: Operation) -> bool:
        return self.bypasses or self.rules.row(collection, operation) != FALSE

    def _serve(self, collection: Collection, relations: Relations) -> Served:
        name = collection.name
        columns = {field.name: column_type(field.type.sql) for field in collection.fields if is_name(field.name)}
        meanings: dict[str, Meaning] = {}
        required = set()
        for field in self._fields(collection):
            as_text = None
            if self._kind(collection, field).as_text:
                as_text = "text[]" if columns[field.name].element is not None else "text"
            meanings[field.name] = ColumnMeaning(field.name, as_text)
            shown = self.bypasses or self.rules.read(name, field.name) == TRUE
            if shown and (field.required or field.name in collection.key):
                required.add(field.name)
        if NODE_ID not in meanings:
            meanings[NODE_ID] = NodeIdMeaning()
        found = tuple(relation for relation in relations.of(name) if self._leads(relation))
        for field_name, relation in relation_names(found, set(meanings)).items():
            meanings[field_name] = LinkMeaning(relation)
        whole = self.rules.catalog.collections[name]
        return Served(collection=whole, columns=columns, required=frozenset(required), meanings=meanings)

    def _leads(self, relation: Relation) -> bool:
        """A junction is a collection like any other here; both ends must be the role's to name."""
        target = self.catalog.collections[relation.target]
        return relation.junction is None and all(target.field(theirs) for _, theirs in relation.columns)

    def _fields(self, collection: Collection) -> tuple[Field, ...]:
        return tuple(field for field in collection.fields if is_name(field.name))

    def _kind(self, collection: Collection, field: Field) -> kinds.Kind:
        stored = column_type(field.type.sql)
        return kinds.kind_of(field, stored.element or stored.name)

    # --- reading -----------------------------------------------------------------------------------------------------

    def _types(self, name: str) -> None:
        collection = self.catalog.collections[name]
        interfaces = [self.node] if isinstance(self.served[name].meanings.get(NODE_ID), NodeIdMeaning) else []
        node = GraphQLObjectType(
            name, lambda: self._node_fields(collection), interfaces=interfaces, description=collection.description
        )
        edge = GraphQLObjectType(
            f"{name}Edge",
            {"cursor": GraphQLField(GraphQLNonNull(GraphQLString)), "node": GraphQLField(GraphQLNonNull(node))},
        )
        self.types[name] = node
        self.connections[name] = GraphQLObjectType(
            f"{name}Connection",
            {
                "edges": GraphQLField(_list_of(edge)),
                "pageInfo": GraphQLField(GraphQLNonNull(_PAGE_INFO)),
                "totalCount": GraphQLField(GraphQLNonNull(GraphQLInt)),
            },
        )
        self.filter_of[name] = GraphQLInputObjectType(f"{name}Filter", lambda: self._filter_fields(collection))
        ordered = {
            field.name: GraphQLInputField(_DIRECTION)
            for field in self._fields(collection)
            if self._kind(collection, field).ordered and not field.type.sql.endswith("[]")
        }
        if ordered:
            self.order_of[name] = GraphQLInputObjectType(f"{name}OrderBy", ordered)

    def _node_fields(self, collection: Collection) -> dict[str, GraphQLField]:
        served = self.served[collection.name]
        found: dict[str, GraphQLField] = {}
        for name, meaning in served.meanings.items():
            if isinstance(meaning, NodeIdMeaning):
                found[name] = GraphQLField(GraphQLNonNull(GraphQLID))
            elif isinstance(meaning, LinkMeaning):
                target = meaning.relation.target
                if meaning.relation.to_one:
                    found[name] = GraphQLField(self.types[target])
                else:
                    found[name] = self._connection(target)
            else:
                field = collection.field(meaning.name)
                assert field is not None, "a meaning is of a field"  # noqa: S101
                shown = self._output(collection, field)
                needed = name in served.required
                found[name] = GraphQLField(GraphQLNonNull(shown) if needed else shown, description=field.description)
        return found

    def _output(self, collection: Collection, field: Field) -> _Filterable | GraphQLList[_Filterable]:
        base = self.enums.get((collection.name, field.name)) or self._kind(collection, field).type
        return GraphQLList(base) if field.type.sql.endswith("[]") else base

    def _connection(self, target: str) -> GraphQLField:
        arguments = {
            "first": GraphQLArgument(GraphQLInt, description="So many from the front."),
            "last": GraphQLArgument(GraphQLInt, description="So many from the back."),
            "before": GraphQLArgument(kinds.CURSOR, description="Only what stands before it."),
            "after": GraphQLArgument(kinds.CURSOR, description="Only what stands behind it."),
            "offset": GraphQLArgument(GraphQLInt, description="So many are skipped, from the front or behind after."),
            "filter": GraphQLArgument(self.filter_of[target]),
        }
        if target in self.order_of:
            arguments["orderBy"] = GraphQLArgument(GraphQLList(GraphQLNonNull(self.order_of[target])))
        return GraphQLField(GraphQLNonNull(self.connections[target]), arguments)

    def _filter_fields(self, collection: Collection) -> dict[str, GraphQLInputField]:
        own = self.filter_of[collection.name]
        found = {
            field.name: GraphQLInputField(self._filter_type(collection, field))
            for field in self._fields(collection)
            if field.name not in LOGIC
        }
        several = GraphQLList(GraphQLNonNull(own))
        return found | {
            "and": GraphQLInputField(several, description="All of them hold; none given: every row."),
            "or": GraphQLInputField(several, description="One of them holds; none given: no row."),
            "not": GraphQLInputField(own),
        }

    def _filter_type(self, collection: Collection, field: Field) -> GraphQLInputObjectType:
        kind = self._kind(collection, field)
        enum = self.enums.get((collection.name, field.name))
        is_list = field.type.sql.endswith("[]")
        operators = kinds.LISTS if is_list else kind.operators if enum is None else kinds.EQUAL
        base: _Filterable = enum or kind.type
        plain = "Plain" * (base is kinds.JSON and operators == kinds.NULLS)
        name = f"{plain}{base.name}{'List' * is_list}Filter"
        if name not in self.filters:
            self.filters[name] = GraphQLInputObjectType(
                name, {operator: _operand(operator, base, is_list=is_list) for operator in operators}
            )
        return self.filters[name]

    def _queries(self, name: str, queries: dict[str, GraphQLField]) -> None:
        collection = self.catalog.collections[name]
        self._root(f"{name}Collection", Root("list", name), self._connection(name), queries)
        key = {column: collection.field(column) for column in collection.key}
        arguments = {
            column: GraphQLArgument(GraphQLNonNull(self._output(collection, field)))
            for column, field in key.items()
            if field is not None
        }
        self._root(f"{name}ByPk", Root("key", name), GraphQLField(self.types[name], arguments), queries)

    def _root(self, field: str, root: Root, made: GraphQLField, into: dict[str, GraphQLField]) -> None:
        """The first to take a name has it."""
        if field not in self.roots:
            self.roots[field] = root
            into[field] = made

    # --- writing -----------------------------------------------------------------------------------------------------

    def _mutations(self, name: str, mutations: dict[str, GraphQLField]) -> None:
        collection = self.catalog.collections[name]
        readable = name in self.types
        if self._may(name, "insert"):
            given = self._input(collection, "InsertInput")
            if given is not None:
                arguments = {"objects": GraphQLArgument(_list_of(given))}
                made = GraphQLField(self._response(name, "Insert"), arguments)
                self._root(f"insertInto{name}Collection", Root("insert", name), made, mutations)
        if not readable:
            return
        which = {
            "filter": GraphQLArgument(self.filter_of[name]),
            "atMost": GraphQLArgument(
                GraphQLNonNull(GraphQLInt), default_value=1, description="When more rows are hit, none is."
            ),
        }
        if self._may(name, "update"):
            given = self._input(collection, "UpdateInput")
            if given is not None:
                arguments = {"set": GraphQLArgument(GraphQLNonNull(given)), **which}
                made = GraphQLField(GraphQLNonNull(self._response(name, "Update")), arguments)
                self._root(f"update{name}Collection", Root("update", name), made, mutations)
        if self._may(name, "delete"):
            made = GraphQLField(GraphQLNonNull(self._response(name, "Delete")), which)
            self._root(f"deleteFrom{name}Collection", Root("delete", name), made, mutations)

    def _input(self, collection: Collection, ending: str) -> GraphQLInputObjectType | None:
        """The fields that the role's values are taken for; ``None`` when there is none."""
        fields = {
            field.name: GraphQLInputField(self._output(collection, field), description=field.description)
            for field in self._fields(collection)
            if field.generated is None
            and (self.bypasses or not field.managed)
            and (self.bypasses or self.rules.write(collection.name, field.name) != FALSE)
        }
        return GraphQLInputObjectType(f"{collection.name}{ending}", fields) if fields else None

    def _response(self, name: str, verb: str) -> GraphQLObjectType:
        """records: only of what may be read at all."""
        fields = {"affectedCount": GraphQLField(GraphQLNonNull(GraphQLInt))}
        if name in self.types:
            fields["records"] = GraphQLField(_list_of(self.types[name]))
        return GraphQLObjectType(f"{name}{verb}Response", fields)


def _list_of(type: GraphQLObjectType | GraphQLInputObjectType) -> GraphQLNonNull:  # type: ignore[type-arg]
    """``[type!]!``."""
    return GraphQLNonNull(GraphQLList(GraphQLNonNull(type)))


def _operand(operator: str, base: _Filterable, *, is_list: bool) -> GraphQLInputField:
    if operator == "is":
        return GraphQLInputField(_FILTER_IS)
    if operator in ("startsWith", "like", "ilike", "regex", "iregex"):
        return GraphQLInputField(GraphQLString)
    if is_list or operator == "in":
        return GraphQLInputField(GraphQLList(GraphQLNonNull(base)))
    return GraphQLInputField(base)
