"""What an operation selects, fragments taken apart and ``@skip`` and ``@include`` obeyed (GraphQL spec, 6.3.2)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLIncludeDirective,
    GraphQLObjectType,
    GraphQLSkipDirective,
    InlineFragmentNode,
    SelectionNode,
    SelectionSetNode,
    get_argument_values,
    get_directive_values,
)
from graphql.execution.values import VariableValues

from mbaas.modules.records.graphql.budget import Budget

Grouped: TypeAlias = dict[str, list[FieldNode]]
"""By response key: the fields that are merged into one."""


class Selections:
    """Reads selection sets of one operation; each field that is met counts."""

    def __init__(self, document: DocumentNode, variables: VariableValues, budget: Budget) -> None:
        self._fragments = {
            one.name.value: one for one in document.definitions if isinstance(one, FragmentDefinitionNode)
        }
        self._variables = variables
        self._budget = budget

    def of(self, type: GraphQLObjectType, sets: Iterable[SelectionSetNode | None]) -> Grouped:
        """The fields that selection sets ask of a record of that type, in order."""
        found: Grouped = {}
        seen: set[str] = set()
        for one in sets:
            if one is not None:
                self._collect(type, one, found, seen)
        return found

    def below(self, type: GraphQLObjectType, nodes: list[FieldNode]) -> Grouped:
        return self.of(type, (node.selection_set for node in nodes))

    def arguments(self, field: GraphQLField, node: FieldNode) -> dict[str, Any]:
        return get_argument_values(field, node, self._variables)

    def _collect(self, type: GraphQLObjectType, given: SelectionSetNode, found: Grouped, seen: set[str]) -> None:
        for selection in given.selections:
            if not self._included(selection):
                continue
            if isinstance(selection, FieldNode):
                self._budget.field()
                key = selection.alias.value if selection.alias else selection.name.value
                found.setdefault(key, []).append(selection)
            elif isinstance(selection, FragmentSpreadNode):
                fragment = self._fragments[selection.name.value]
                if selection.name.value not in seen:
                    seen.add(selection.name.value)
                    if _applies(fragment.type_condition.name.value, type):
                        self._collect(type, fragment.selection_set, found, seen)
            elif isinstance(selection, InlineFragmentNode):
                condition = selection.type_condition
                if condition is None or _applies(condition.name.value, type):
                    self._collect(type, selection.selection_set, found, seen)

    def _included(self, selection: SelectionNode) -> bool:
        if not selection.directives:
            return True
        skip = get_directive_values(GraphQLSkipDirective, selection, self._variables)
        if skip is not None and skip["if"]:
            return False
        include = get_directive_values(GraphQLIncludeDirective, selection, self._variables)
        return include is None or bool(include["if"])


def _applies(condition: str, type: GraphQLObjectType) -> bool:
    return condition == type.name or any(condition == interface.name for interface in type.interfaces)
