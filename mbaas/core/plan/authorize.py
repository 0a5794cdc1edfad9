"""The rules become part of the plan, at every level. Only what leaves here can be rendered.

SQL can name a collection through a ``Visible`` alone: the rows its rule lets the caller see, and of each field what the
field's rule leaves.
"""

from __future__ import annotations

from typing import TypeAlias, overload

import msgspec

from mbaas.core.errors import RuleRefused
from mbaas.core.expr.types import FALSE, TRUE, Column, Expr, all_of
from mbaas.core.expr.walk import own_columns, uses_patterns
from mbaas.core.identity import Identity, Role
from mbaas.core.plan.errors import PatternsOff
from mbaas.core.plan.types import (
    AggregateOutput,
    Answer,
    CallPlan,
    DeletePlan,
    FieldOutput,
    InsertPlan,
    ListPlan,
    Plan,
    ReadPlan,
    UpdatePlan,
    tested_embed,
)
from mbaas.core.query.errors import AggregatesOff
from mbaas.core.rules.ruleset import RuleSet
from mbaas.core.schema.catalog import Collection, Function, Operation

_SIGNED_IN: frozenset[Role] = frozenset({"authenticated", "service_role"})


class Grants(msgspec.Struct, frozen=True, kw_only=True):
    """Who may ask for what can cost very much. aggregates: beyond an embed's count. patterns: regular expressions."""

    aggregates: frozenset[Role] = _SIGNED_IN
    patterns: frozenset[Role] = _SIGNED_IN


class Visible(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of one collection as the caller may see them.

    masks: every column in order, each with the rule that shows it; ``None``: all as they are. bare: the table itself,
    of which only what is asked for is named, since the caller's own rights decide.
    """

    collection: str
    rule: Expr
    masks: tuple[tuple[str, Expr], ...] | None = None
    bare: bool = False


class AuthorizedRows(msgspec.Struct, frozen=True, kw_only=True):
    """A read plan, what of its collection may be seen, and the same for each embed. visible ``None``: a function's.

    as_caller: the statement has to run in the caller's role and with its claims: something in it is adopted.
    """

    plan: ReadPlan
    visible: Visible | None
    embeds: dict[str, AuthorizedRows] = {}
    junctions: dict[str, Visible] = {}
    as_caller: bool = False


class AuthorizedList(msgspec.Struct, frozen=True, kw_only=True):
    identity: Identity
    answer: Answer
    rows: AuthorizedRows

    @property
    def as_caller(self) -> bool:
        return self.rows.as_caller


class AuthorizedInsert(msgspec.Struct, frozen=True, kw_only=True):
    """new: what each proposed row must meet. merge_old, merge_new: what a row that a merge overwrites must meet."""

    identity: Identity
    plan: InsertPlan
    new: Expr
    merge_old: Expr
    merge_new: Expr
    rows: AuthorizedRows | None
    as_caller: bool = False


class AuthorizedUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """visible: the rows that may be changed. old, new: what each row that is hit must meet, or nothing happens."""

    identity: Identity
    plan: UpdatePlan
    visible: Visible
    old: Expr
    new: Expr
    rows: AuthorizedRows | None
    as_caller: bool = False


class AuthorizedDelete(msgspec.Struct, frozen=True, kw_only=True):
    """visible: the rows that may be deleted."""

    identity: Identity
    plan: DeletePlan
    visible: Visible
    rows: AuthorizedRows | None
    as_caller: bool = False


class AuthorizedCall(msgspec.Struct, frozen=True, kw_only=True):
    identity: Identity
    plan: CallPlan
    rows: AuthorizedRows | None


AuthorizedWrite: TypeAlias = AuthorizedInsert | AuthorizedUpdate | AuthorizedDelete
Authorized: TypeAlias = AuthorizedList | AuthorizedWrite | AuthorizedCall


@overload
def authorize(plan: ListPlan, identity: Identity, rules: RuleSet, grants: Grants = ...) -> AuthorizedList: ...
@overload
def authorize(plan: InsertPlan, identity: Identity, rules: RuleSet, grants: Grants = ...) -> AuthorizedInsert: ...
@overload
def authorize(plan: UpdatePlan, identity: Identity, rules: RuleSet, grants: Grants = ...) -> AuthorizedUpdate: ...
@overload
def authorize(plan: DeletePlan, identity: Identity, rules: RuleSet, grants: Grants = ...) -> AuthorizedDelete: ...
@overload
def authorize(plan: CallPlan, identity: Identity, rules: RuleSet, grants: Grants = ...) -> AuthorizedCall: ...


def authorize(plan: Plan, identity: Identity, rules: RuleSet, grants: Grants = Grants()) -> Authorized:  # noqa: B008 - frozen
    """The plan with everything the rules have to say about it. Raises Forbidden for what is not for this caller."""
    caller = _Caller(identity, rules, grants, as_caller=_meets_adopted(plan, rules))
    if isinstance(plan, ListPlan):
        rows = caller.rows(plan.rows)
        answer = plan.answer
        if answer.total in ("planned", "estimated") and _hides(rows):
            answer = msgspec.structs.replace(answer, total="exact")
        return AuthorizedList(identity=identity, answer=answer, rows=rows)
    if isinstance(plan, InsertPlan):
        return caller.insert(plan)
    if isinstance(plan, UpdatePlan):
        return caller.update(plan)
    if isinstance(plan, DeletePlan):
        return caller.delete(plan)
    return caller.call(plan)


def as_stored(authorized: AuthorizedWrite) -> AuthorizedWrite:
    """The same write under the same rules, but what comes back are its rows whole, for the server's own hooks.

    What the caller may see of them is asked afterwards, by the rows of the write as it was.
    """
    collection = authorized.plan.collection
    outputs = tuple(FieldOutput(field.name, Column(field.name)) for field in collection.named_fields)
    rows = AuthorizedRows(
        plan=ReadPlan(collection=collection, outputs=outputs), visible=Visible(collection=collection.name, rule=TRUE)
    )
    plan = msgspec.structs.replace(authorized.plan, answer=Answer())
    return msgspec.structs.replace(authorized, plan=plan, rows=rows)


class _Caller:
    """as_caller: the statement runs under the policies, which then stand for the rules of every collection in it."""

    def __init__(self, identity: Identity, rules: RuleSet, grants: Grants, *, as_caller: bool) -> None:
        self.identity = identity
        self.rules = rules
        self.grants = grants
        self.as_caller = as_caller
        self.bypasses = identity.bypasses_rules
        self.patterns = identity.role in grants.patterns

    def row(self, collection: Collection, operation: Operation) -> Expr:
        return TRUE if self.bypasses or self.as_caller else self.rules.row(collection.name, operation)

    def visible(self, collection: Collection, rule: Expr, uses: tuple[str, ...] = ()) -> Visible:
        """uses: hidden fields that the statement itself reads."""
        name = collection.name
        if collection.adopted:
            return Visible(collection=name, rule=TRUE, bare=True)
        if self.bypasses:
            return Visible(collection=name, rule=TRUE)
        masks = tuple(
            (field.name, TRUE if field.name in uses else self.mask(name, field.name))
            for field in collection.fields
            if not field.hidden or field.name in uses
        )
        plain = len(masks) == len(collection.fields) and all(mask == TRUE for _, mask in masks)
        return Visible(collection=name, rule=rule, masks=None if plain else masks)

    def mask(self, collection: str, field: str) -> Expr:
        """A policy masks no field, so one with a rule of its own is not granted to callers: as them it stays null."""
        mask = self.rules.read(collection, field)
        return FALSE if self.as_caller and mask != TRUE else mask

    def rows(self, plan: ReadPlan, *, ruled: bool = True, embedded: bool = False) -> AuthorizedRows:
        """ruled: without it the rows are a function's, which answers for them; fields keep their rules."""
        if plan.grouped and self.identity.role not in self.grants.aggregates and not (embedded and _counts(plan)):
            raise AggregatesOff()
        self.check_patterns(plan.where)
        self.check_functions(plan.computed)
        visible = None
        if plan.collection is not None:
            visible = self.visible(plan.collection, self.row(plan.collection, "select") if ruled else TRUE, plan.uses)
        if not plan.embeds:
            return AuthorizedRows(plan=plan, visible=visible, as_caller=self.as_caller)
        catalog = self.rules.catalog
        junctions = {}
        embeds = {}
        for embed in plan.embeds:
            if embed.relation.junction is not None:
                junction = catalog.collections[embed.relation.junction.collection]
                junctions[embed.alias] = self.visible(junction, self.row(junction, "select"))
            function = embed.relation.computed
            self.check_functions(() if function is None else (function,))
            embeds[embed.alias] = self.rows(embed.plan, ruled=function is None, embedded=True)
        return AuthorizedRows(plan=plan, visible=visible, embeds=embeds, junctions=junctions, as_caller=self.as_caller)

    def returned(self, answer: Answer) -> AuthorizedRows | None:
        return None if answer.rows is None else self.rows(answer.rows)

    def shown(self, collection: Collection, answer: Answer) -> Expr:
        """What goes out must be readable as well."""
        return TRUE if answer.rows is None else self.row(collection, "select")

    def fields(self, collection: Collection, named: tuple[str, ...]) -> Expr:
        return (
            TRUE
            if self.bypasses or self.as_caller
            else all_of(*(self.rules.write(collection.name, name) for name in named))
        )

    def insert(self, plan: InsertPlan) -> AuthorizedInsert:
        collection = plan.collection
        named = self.fields(collection, tuple(field.name for field in plan.fields))
        shown = self.shown(collection, plan.answer)
        merge_old: Expr = TRUE
        merge_new: Expr = TRUE
        if plan.conflict is not None and plan.conflict.update is not None:
            written = self.fields(collection, plan.conflict.update)
            update = self.row(collection, "update")
            merge_old = all_of(self.row(collection, "select"), update, written)
            merge_new = all_of(update, written, shown)
        return AuthorizedInsert(
            identity=self.identity,
            plan=plan,
            new=all_of(self.row(collection, "insert"), named, shown),
            merge_old=merge_old,
            merge_new=merge_new,
            rows=self.returned(plan.answer),
            as_caller=self.as_caller,
        )

    def update(self, plan: UpdatePlan) -> AuthorizedUpdate:
        collection = plan.collection
        self.check_patterns(plan.where)
        self.check_functions(plan.computed)
        update = self.row(collection, "update")
        named = self.fields(collection, tuple(field.name for field in plan.fields))
        return AuthorizedUpdate(
            identity=self.identity,
            plan=plan,
            visible=self.visible(collection, all_of(self.row(collection, "select"), update)),
            old=named,
            new=all_of(update, named, self.shown(collection, plan.answer)),
            rows=self.returned(plan.answer),
            as_caller=self.as_caller,
        )

    def delete(self, plan: DeletePlan) -> AuthorizedDelete:
        collection = plan.collection
        self.check_patterns(plan.where)
        self.check_functions(plan.computed)
        rule = all_of(self.row(collection, "select"), self.row(collection, "delete"))
        return AuthorizedDelete(
            identity=self.identity,
            plan=plan,
            visible=self.visible(collection, rule),
            rows=self.returned(plan.answer),
            as_caller=self.as_caller,
        )

    def call(self, plan: CallPlan) -> AuthorizedCall:
        self.check_functions((plan.function,))
        rows = None if plan.answer.rows is None else self.rows(plan.answer.rows, ruled=False)
        return AuthorizedCall(identity=self.identity, plan=plan, rows=rows)

    def check_functions(self, functions: tuple[Function, ...]) -> None:
        for function in functions:
            if not self.bypasses and self.identity.role not in function.execute:
                raise RuleRefused(f"permission denied for function {function.name}")

    def check_patterns(self, where: Expr) -> None:
        if not self.patterns and uses_patterns(where):
            raise PatternsOff()


def _meets_adopted(plan: Plan, rules: RuleSet) -> bool:
    """Whether anything that the plan names is adopted."""

    def adopted(rows: ReadPlan | None) -> bool:
        if rows is None:
            return False
        if rows.collection is not None and rows.collection.adopted:
            return True
        for embed in rows.embeds:
            junction = embed.relation.junction
            if junction is not None and rules.catalog.collections[junction.collection].adopted:
                return True
            if adopted(embed.plan):
                return True
        return False

    if isinstance(plan, ListPlan):
        return adopted(plan.rows)
    if isinstance(plan, CallPlan):
        return adopted(plan.answer.rows)
    return plan.collection.adopted or adopted(plan.answer.rows)


def _hides(rows: AuthorizedRows) -> bool:
    """Whether a count of them depends on something the caller does not see.

    PostgreSQL estimates from statistics of whole tables: how many rows a filter leaves would tell of hidden values.
    """
    visible, collection = rows.visible, rows.plan.collection
    if collection is not None and collection.view:
        return True  # it may leave rows of its tables out
    if visible is not None and (
        visible.bare or visible.rule != TRUE or any(mask != TRUE for _, mask in visible.masks or ())
    ):
        return True
    tested = {tested_embed(Column(name)) for name in own_columns(rows.plan.where)}
    counted = [embed.alias for embed in rows.plan.embeds if embed.inner or embed.alias in tested]
    return any(
        _hides(rows.embeds[alias]) or (alias in rows.junctions and rows.junctions[alias].rule != TRUE)
        for alias in counted
    )


def _counts(plan: ReadPlan) -> bool:
    """Whether it is no more than the number of rows, as in ``comments(count)``."""
    only = plan.outputs[0]
    return (
        len(plan.outputs) == 1
        and isinstance(only, AggregateOutput)
        and only.function == "count"
        and only.argument is None
    )
