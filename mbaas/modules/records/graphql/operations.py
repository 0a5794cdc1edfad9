"""One operation from its document to its data: planned whole, then one statement, or one transaction of writes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import msgspec
from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLError,
    GraphQLObjectType,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    execute_sync,
    get_variable_values,
)
from graphql.execution.values import VariableValues

from mbaas.adapters.postgres.database import Database
from mbaas.adapters.postgres.enlisted import enlisting
from mbaas.config.settings import GraphQLSettings
from mbaas.core.errors import MbaasError
from mbaas.core.identity import Identity, Role
from mbaas.core.plan.names import Names
from mbaas.core.plan.types import WritePlan
from mbaas.core.query.limits import Limits
from mbaas.core.rules.ruleset import RuleSet
from mbaas.hooks.events import Done
from mbaas.modules.records.graphql.asked import Asked
from mbaas.modules.records.graphql.budget import Budget
from mbaas.modules.records.graphql.documents import Document, Documents
from mbaas.modules.records.graphql.errors import FieldFailed, IntrospectionOff, KeyNotTaken, OperationInvalid, QueryOnly
from mbaas.modules.records.graphql.reading import TYPE_NAME, Finish, Plans, Reader, key_of, read_node_id
from mbaas.modules.records.graphql.schema import RoleSchema, Root, schema_for
from mbaas.modules.records.graphql.selections import Grouped, Selections
from mbaas.modules.records.graphql.writing import Finished, Writer
from mbaas.modules.records.results import Written
from mbaas.modules.records.service import Records

Data: TypeAlias = dict[str, Any]
_MAY_INTROSPECT: dict[str, frozenset[Role]] = {
    "off": frozenset(),
    "service": frozenset({"service_role"}),
    "authenticated": frozenset({"service_role", "authenticated"}),
    "everyone": frozenset({"service_role", "authenticated", "anon"}),
}


class Schemas:
    """The schema of each role with its documents, for the snapshot that holds."""

    def __init__(self, settings: GraphQLSettings) -> None:
        self._introspect = _MAY_INTROSPECT[settings.introspection]
        self._rules: RuleSet | None = None
        self._known: dict[Role, tuple[RoleSchema, Documents]] = {}

    def of(self, rules: RuleSet, role: Role) -> tuple[RoleSchema, Documents]:
        if rules is not self._rules:
            self._rules = rules
            self._known.clear()
        found = self._known.get(role)
        if found is None:
            schema = schema_for(rules, role)
            found = self._known[role] = (schema, Documents(schema, quiet=role not in self._introspect))
        return found

    def check(self, document: Document, role: Role) -> None:
        """Raises IntrospectionOff."""
        if document.introspects and role not in self._introspect:
            raise IntrospectionOff()


class Operations:
    """Answers operations."""

    def __init__(
        self, records: Records, database: Database, settings: GraphQLSettings, limits: Limits, *, max_rows: int
    ) -> None:
        self._records = records
        self._database = database
        self._settings = settings
        self._limits = limits
        self._max_rows = max_rows
        self._schemas = Schemas(settings)

    async def run(self, asked: Asked, identity: Identity, charge: Callable[[int], None]) -> Data:
        """The data. charge: told how many root fields there are; refuses what is too much.

        Raises OperationInvalid, and FieldFailed for what went wrong with a root field.
        """
        rules, names = self._records.snapshot()
        schema, documents = self._schemas.of(rules, identity.role)
        document = documents.read(asked.query)
        self._schemas.check(document, identity.role)
        operation = document.operation(asked.operation)
        if asked.read_only and operation.operation is not OperationType.QUERY:
            raise QueryOnly()
        if asked.keyed and operation.operation is not OperationType.QUERY:
            raise KeyNotTaken()
        variables = get_variable_values(
            schema.graphql, operation.variable_definitions or (), asked.variables, max_errors=20
        )
        if isinstance(variables, list):
            raise OperationInvalid(variables)
        budget = Budget(max_depth=self._settings.max_depth, max_cost=self._settings.max_cost, limits=self._limits)
        selections = Selections(document.ast, variables, budget)
        root = schema.graphql.get_root_type(operation.operation)
        assert root is not None, "validation asks for it"  # noqa: S101
        fields = selections.of(root, [operation.selection_set])
        charge(sum(nodes[0].name.value in schema.roots for nodes in fields.values()))
        reader = Reader(schema, selections, budget, max_rows=self._max_rows)
        plan = _Plan(root, fields, schema)
        if operation.operation is OperationType.QUERY:
            return await self._query(plan, reader, document.ast, operation, variables, identity, rules)
        return await self._mutate(plan, reader, identity, rules, names)

    async def _query(
        self, plan: _Plan, reader: Reader, ast: DocumentNode, operation: OperationDefinitionNode,
        variables: VariableValues, identity: Identity, rules: RuleSet,
    ) -> Data:  # fmt: skip
        planned: dict[str, tuple[Plans, Finish]] = {}
        for key, root, nodes in plan.roots():
            with _about(key, nodes[0]):
                found = self._read(plan, reader, root, nodes)
            if found is not None:
                planned[key] = found
        data = _introspected(plan, ast, operation, variables, reader.schema)
        if planned:
            with _about(*plan.blame(planned)):
                every = [one for plans, _ in planned.values() for one in plans]
                pages = iter(await self._records.read_plans(every, identity, rules))
            for key, (plans, finish) in planned.items():
                own = [next(pages) for _ in plans]
                data[key] = finish(msgspec.json.decode(own[0].body), own[-1].total)
        return plan.ordered(data)

    def _read(self, plan: _Plan, reader: Reader, root: Root, nodes: list[FieldNode]) -> tuple[Plans, Finish] | None:
        field = plan.type.fields[nodes[0].name.value]
        if root.kind == "list":
            return reader.connection(root.collection or "", field, nodes)
        given = reader.selections.arguments(field, nodes[0])
        if root.kind == "key":
            collection = root.collection or ""
            return reader.record(collection, key_of(reader.schema.served[collection], given), nodes)
        collection, key = read_node_id(given["nodeId"])
        served = reader.schema.served.get(collection)
        if served is None or collection not in reader.schema.graphql.type_map or len(key) != len(served.collection.key):
            return None
        return reader.record(collection, key, nodes)

    async def _mutate(self, plan: _Plan, reader: Reader, identity: Identity, rules: RuleSet, names: Names) -> Data:
        writer = Writer(reader, self._records.resolver(names, identity), self._limits)
        planned: dict[str, tuple[WritePlan, Finished]] = {}
        for key, root, nodes in plan.roots():
            with _about(key, nodes[0]):
                planned[key] = writer.write(root, plan.type.fields[nodes[0].name.value], nodes)
        data: Data = {}
        if planned:
            with _about(*plan.blame(planned)):
                done = await self._write([one for one, _ in planned.values()], identity, rules)
            for (key, (_, finish)), written in zip(planned.items(), done, strict=True):
                data[key] = finish(written)
        return plan.ordered(data)

    async def _write(self, plans: list[WritePlan], identity: Identity, rules: RuleSet) -> list[Written]:
        """All of them or none."""
        if len(plans) == 1:
            return await self._records.write_plans(plans, identity, rules)
        told: list[Done] = []
        async with enlisting(self._database, identity) as door:
            done = await self._records.within(door, told).write_plans(plans, identity, rules)
        await self._records.tell(told)
        return done


class _Plan(msgspec.Struct, frozen=True):
    """The root of an operation: its type and the fields selected of it."""

    type: GraphQLObjectType
    fields: Grouped
    schema: RoleSchema

    def roots(self) -> list[tuple[str, Root, list[FieldNode]]]:
        """Those that are about records."""
        return [
            (key, self.schema.roots[nodes[0].name.value], nodes)
            for key, nodes in self.fields.items()
            if nodes[0].name.value in self.schema.roots
        ]

    def blame(self, planned: dict[str, Any]) -> tuple[str | None, FieldNode | None]:
        """Whose fault the failure of what was planned is, when it is clear: fields that go together fail together."""
        if len(planned) > 1:
            return None, None
        key = next(iter(planned))
        return key, self.fields[key][0]

    def ordered(self, data: Data) -> Data:
        """In the order of the selection, with the name of the type where it was asked for."""
        return {
            key: self.type.name if nodes[0].name.value == TYPE_NAME else data.get(key)
            for key, nodes in self.fields.items()
        }


@contextlib.contextmanager
def _about(key: str | None, node: FieldNode | None) -> Iterator[None]:
    """Says of which root field something went wrong."""
    try:
        yield
    except GraphQLError as error:
        raise OperationInvalid([error]) from error
    except MbaasError as error:
        raise FieldFailed(error, key, node) from error


def _introspected(
    plan: _Plan, ast: DocumentNode, operation: OperationDefinitionNode, variables: VariableValues, schema: RoleSchema
) -> Data:
    """What the schema says of itself, by graphql-core."""
    asked = tuple(node for nodes in plan.fields.values() for node in nodes if node.name.value in ("__schema", "__type"))
    if not asked:
        return {}
    only = OperationDefinitionNode(
        operation=operation.operation,
        name=operation.name,
        variable_definitions=operation.variable_definitions,
        directives=operation.directives,
        selection_set=SelectionSetNode(selections=asked),
    )
    rest = tuple(one for one in ast.definitions if not isinstance(one, OperationDefinitionNode))
    result = execute_sync(
        schema.graphql, DocumentNode(definitions=(only, *rest)), variable_values=dict(variables.coerced)
    )
    if result.errors:
        raise OperationInvalid(result.errors)
    return dict(result.data or {})
