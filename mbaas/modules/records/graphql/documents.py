"""Documents of one schema: read, checked against it, and kept, since clients send the same ones again and again.

What they hold is counted before they are validated: whether two fields of one name can be merged is asked of every pair
of them, which took 0.3 s for 480 fields.
"""

from __future__ import annotations

from collections import Counter, OrderedDict

import msgspec
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentSpreadNode,
    GraphQLError,
    OperationDefinitionNode,
    Visitor,
    get_operation_ast,
    parse,
    validate,
    visit,
)

from mbaas.core.query.errors import QueryTooComplex
from mbaas.modules.records.graphql.errors import OperationInvalid
from mbaas.modules.records.graphql.schema import RoleSchema

MAX_TOKENS = 5000
MAX_SELECTIONS = 500
MAX_PAIRS = 6_000
MAX_ERRORS = 20
KEPT = 200
_INTROSPECTION = frozenset({"__schema", "__type"})


class Document(msgspec.Struct, frozen=True):
    """One that fits its schema. introspects: it asks for the schema."""

    ast: DocumentNode
    introspects: bool

    def operation(self, name: str | None) -> OperationDefinitionNode:
        """Raises OperationInvalid when it is not clear which one is meant."""
        found = get_operation_ast(self.ast, name)
        if found is None:
            message = f"there is no operation {name!r}" if name else "there are several operations; operationName picks"
            raise OperationInvalid([GraphQLError(message)])
        return found


class Documents:
    """Those last asked for. quiet: messages name nothing that the caller did not."""

    def __init__(self, schema: RoleSchema, *, quiet: bool) -> None:
        self._schema = schema
        self._quiet = quiet
        self._kept: OrderedDict[str, Document] = OrderedDict()

    def read(self, source: str) -> Document:
        """Raises OperationInvalid, QueryTooComplex."""
        found = self._kept.get(source)
        if found is None:
            found = self._kept[source] = self._read(source)
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(source)
        return found

    def _read(self, source: str) -> Document:
        try:
            ast = parse(source, max_tokens=MAX_TOKENS, allow_empty_selection_sets=False)
            counted = _Counter()
            visit(ast, counted)
        except GraphQLError as error:
            raise OperationInvalid([error]) from error
        except RecursionError:
            raise QueryTooComplex("the document is nested too deep") from None
        if counted.selections > MAX_SELECTIONS:
            raise QueryTooComplex(f"the document selects more than {MAX_SELECTIONS} fields")
        if sum(number * number for number in counted.names.values()) > MAX_PAIRS:
            raise QueryTooComplex("the document selects under the same names too often")
        try:
            errors = validate(self._schema.graphql, ast, max_errors=MAX_ERRORS, hide_suggestions=self._quiet)
        except RecursionError:
            raise QueryTooComplex("the document is nested too deep") from None
        if errors:
            raise OperationInvalid(errors)
        return Document(ast, counted.introspects)


class _Counter(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.selections = 0
        self.names: Counter[str] = Counter()
        self.introspects = False

    def enter_field(self, node: FieldNode, *_: object) -> None:
        self.selections += 1
        self.names[node.alias.value if node.alias else node.name.value] += 1
        self.introspects = self.introspects or node.name.value in _INTROSPECTION

    def enter_fragment_spread(self, node: FragmentSpreadNode, *_: object) -> None:
        self.selections += 1
