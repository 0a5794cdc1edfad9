"""Reads, writes and calls of collections: orders the stages, owns the transactions.

A collection without hooks takes one statement, whose body nobody here looks into. Hooks are the only reason to build a
record in Python: those writes are in ``hooked.py``.
"""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable, Sequence

from mbaas.adapters.postgres.coalesce import Ask, Row
from mbaas.adapters.postgres.enlisted import Door, Enlisted
from mbaas.core.errors import DatabaseError, MbaasError
from mbaas.core.identity import Identity, Role
from mbaas.core.plan.authorize import AuthorizedWrite, Grants, authorize
from mbaas.core.plan.calls import resolve_call
from mbaas.core.plan.names import Names
from mbaas.core.plan.resolve import Resolver, resolve_list
from mbaas.core.plan.types import ListPlan, WritePlan
from mbaas.core.plan.writes import resolve_delete, resolve_insert, resolve_update
from mbaas.core.query.errors import MaxAffectedExceeded, NotSingular
from mbaas.core.query.types import CallQuery, DeleteQuery, InsertQuery, ReadQuery, UpdateQuery
from mbaas.core.rules.ruleset import RuleSet
from mbaas.core.sql.call import needs_owner, render_call
from mbaas.core.sql.fragment import Bindable, Statement
from mbaas.core.sql.read import render_given, render_list, render_lists
from mbaas.core.sql.rows import keys
from mbaas.core.sql.write import render_write
from mbaas.hooks.dispatch import Hooks
from mbaas.hooks.events import Done
from mbaas.modules.records.estimates import estimated
from mbaas.modules.records.explain import Query, explaining
from mbaas.modules.records.hooked import HookedWrites
from mbaas.modules.records.prepared import Found, Prepared, Shapes
from mbaas.modules.records.results import Called, Page, Written, cut_of, page_of, written_of


class Records:
    """Everything ``/rest/v1`` does, without HTTP."""

    def __init__(
        self,
        database: Door,
        rules: Callable[[], RuleSet],
        hooks: Hooks,
        *,
        max_rows: int | None = 1000,
        grants: Grants = Grants(),  # noqa: B008 - frozen
    ) -> None:
        """rules: the snapshot that holds now; asked once a request. max_rows: the longest list at any level."""
        self._database = database
        self._rules = rules
        self._hooks = hooks
        self._hooked = HookedWrites(database, hooks)
        self._max_rows = max_rows
        self._grants = grants
        self._snapshot: tuple[RuleSet, Names] | None = None
        self._shapes: Shapes | None = None

    def within(self, door: Enlisted, told: list[Done]) -> Records:
        """The same, as part of a transaction and under the rules that hold now.

        told: gets what the ``after`` hooks have to hear when that is committed, see ``tell``.
        """

        async def later(event: Done) -> None:
            told.append(event)

        rules = self.snapshot()[0]
        inside = copy.copy(self)
        inside._rules = lambda: rules
        inside._database = door
        inside._hooked = HookedWrites(door, self._hooks, later)
        return inside

    async def tell(self, told: list[Done]) -> None:
        """Tells the ``after`` hooks what is committed now."""
        for event in told:
            await self._hooks.emit(event)

    def snapshot(self) -> tuple[RuleSet, Names]:
        """The rules that hold now, with the names made for them."""
        rules = self._rules()
        if self._snapshot is None or self._snapshot[0] is not rules:
            self._snapshot = (rules, Names(rules.catalog, rules.defaults))
            self._shapes = Shapes(
                rules, self._resolver(self._snapshot[1]), grants=self._grants, hooked=self._hooked.concerns
            )
        return self._snapshot

    @property
    def shapes(self) -> Shapes:
        """What was prepared under the rules that hold now."""
        if self._shapes is None or self._shapes.rules is not self._rules():
            self.snapshot()
        assert self._shapes is not None, "made with the snapshot"  # noqa: S101
        return self._shapes

    async def read_prepared(self, found: Found, role: Role) -> Page:
        """As ``read``, of a shape that is known."""
        prepared, args = found
        row = await self.fetch(prepared, args, role)
        page = page_of(row, prepared.keys or (), prepared.cut)
        if prepared.answer.singular and page.rows != 1:
            raise NotSingular(page.rows)
        return page

    def asking(self, prepared: Prepared, role: Role) -> Ask | None:
        """How to ask for the row of a read, or of anything short, without waiting; ``None``: not possible here."""
        template = prepared.template
        return self._database.asking(template.text, role=role, short=prepared.short, together=template.together)

    async def write_prepared(self, found: Found, role: Role) -> Written:
        """As ``insert`` and ``update``, of a shape that is known."""
        prepared, args = found
        try:
            if prepared.short:
                row: Row | None = await self.fetch(prepared, args, role)
            else:  # by itself: what fails in company is asked again, and this writes
                statement = Statement(prepared.template.text, tuple(args))
                row = await self._database.fetch_row(statement, role=role, patient=True)
        except DatabaseError as error:
            raise in_our_words(error) from error
        return written_of(row, prepared.keys)

    def fetch(self, prepared: Prepared, args: Sequence[Bindable], role: Role) -> Awaitable[Row]:
        """The row of a read, or of anything short, waited for."""
        text = prepared.template.text
        if prepared.short:
            return self._database.fetch_shared(text, tuple(args), role=role, together=prepared.template.together)
        return self._database.fetch_list(text, tuple(args), role=role)

    def _resolver(self, names: Names) -> Callable[[Identity], Resolver]:
        return lambda identity: Resolver(names, privileged=identity.bypasses_rules, max_rows=self._max_rows)

    async def read(self, query: ReadQuery, identity: Identity, *, body: bool = True) -> Page:
        """A page of records. Raises NotSingular when one object was asked for and there is not exactly one."""
        rules, resolver = self._begin(identity)
        plan = resolve_list(query, resolver)
        authorized = authorize(plan, identity, rules, self._grants)
        statement = render_list(authorized, body=body)
        if authorized.as_caller:
            async with self._database.transaction(caller=identity, read_only=True) as transaction:
                row = await transaction.fetch_row(statement)
        else:
            row = await self._database.fetch_row(statement, role=identity.role, patient=True)
        page = page_of(row, keys(plan.rows), cut_of(plan.rows))
        if authorized.answer.total in ("planned", "estimated"):
            page = await estimated(page, authorized, self._database)
        if plan.answer.singular and page.rows != 1:
            raise NotSingular(page.rows)
        return page

    async def insert(self, query: InsertQuery, identity: Identity) -> Written:
        rules, resolver = self._begin(identity)
        return await self._write(authorize(resolve_insert(query, resolver), identity, rules, self._grants))

    async def update(self, query: UpdateQuery, identity: Identity) -> Written:
        """A body without fields touches nothing."""
        rules, resolver = self._begin(identity)
        plan = resolve_update(query, resolver)
        if query.columns:
            return await self._write(authorize(plan, identity, rules, self._grants))
        if plan.answer.singular:
            raise NotSingular(0)
        rows = plan.answer.rows
        return Written(0, page=None if rows is None else Page("[]", 0, keys=keys(rows)))

    async def delete(self, query: DeleteQuery, identity: Identity) -> Written:
        rules, resolver = self._begin(identity)
        return await self._write(authorize(resolve_delete(query, resolver), identity, rules, self._grants))

    async def read_plans(self, plans: Sequence[ListPlan], identity: Identity, rules: RuleSet) -> list[Page]:
        """Several lists by one statement. rules: the snapshot that the plans were made by."""
        statement = render_lists([authorize(plan, identity, rules, self._grants) for plan in plans])
        row = await self._database.fetch_row(statement, role=identity.role, patient=True)
        assert row is not None, "aggregates give one row"  # noqa: S101
        return [page_of(row[3 * number : 3 * number + 3], keys(plan.rows)) for number, plan in enumerate(plans)]

    async def write_plans(self, plans: Sequence[WritePlan], identity: Identity, rules: RuleSet) -> list[Written]:
        """Several writes in order; together when they are ``within`` a transaction. rules: as of ``read_plans``."""
        writes = [authorize(plan, identity, rules, self._grants) for plan in plans]
        return [await self._write(write) for write in writes]

    def resolver(self, names: Names, identity: Identity) -> Resolver:
        """For who makes plans himself, by the names of ``snapshot``."""
        return self._resolver(names)(identity)

    async def call(self, query: CallQuery, identity: Identity) -> Called:
        """Runs as the caller, in a transaction that is read-only unless the function may write."""
        rules, resolver = self._begin(identity)
        plan = resolve_call(query, resolver)
        answer = plan.answer
        authorized = authorize(plan, identity, rules, self._grants)
        async with self._database.transaction(
            caller=identity, read_only=plan.read_only, commit=not answer.rollback
        ) as transaction:
            row = await transaction.fetch_row(render_call(authorized))
            if authorized.rows is not None and needs_owner(authorized):
                if not authorized.rows.as_caller:
                    await transaction.execute("reset role")
                payload = (row and row[0]) or "[]"
                row = await transaction.fetch_row(render_given(identity, authorized.rows, answer, payload))
            page = page_of(row, () if answer.rows is None else keys(answer.rows))
            if answer.singular and page.rows != 1:
                raise NotSingular(page.rows)
            if answer.max_affected is not None and page.rows > answer.max_affected:
                raise MaxAffectedExceeded(page.rows)
        return Called(plan.function, page)

    async def explain(self, query: Query, identity: Identity) -> str:
        """How PostgreSQL carries the request out, as text or JSON. Whatever it does on the way is taken back."""
        rules, resolver = self._begin(identity)
        statement, as_caller = explaining(query, resolver, identity, rules, self._grants)
        async with self._database.transaction(caller=identity if as_caller else None, commit=False) as transaction:
            rows = await transaction.fetch_rows(statement)
        return "\n".join(row[0] or "" for row in rows)

    def _begin(self, identity: Identity) -> tuple[RuleSet, Resolver]:
        rules, names = self.snapshot()
        return rules, self._resolver(names)(identity)

    async def _write(self, authorized: AuthorizedWrite) -> Written:
        plan = authorized.plan
        try:
            if self._hooked.concerns(plan):
                return await self._hooked.write(authorized)
            statement = render_write(authorized)
            if authorized.as_caller:
                return await self._write_as_caller(authorized, statement)
            if plan.answer.rollback:
                async with self._database.transaction(commit=False) as transaction:
                    row = await transaction.fetch_row(statement)
            else:
                row = await self._database.fetch_row(statement, role=authorized.identity.role)
        except DatabaseError as error:
            raise in_our_words(error) from error
        return written_of(row, None if plan.answer.rows is None else keys(plan.answer.rows))

    async def _write_as_caller(self, authorized: AuthorizedWrite, statement: Statement) -> Written:
        """Under the policies of the database, in the caller's own rights."""
        answer = authorized.plan.answer
        shown = None if answer.rows is None else keys(answer.rows)
        async with self._database.transaction(caller=authorized.identity, commit=not answer.rollback) as transaction:
            written = written_of(await transaction.fetch_row(statement), shown)
            counted = written.affected if written.page is None else written.page.rows
            if answer.singular and not answer.location and counted != 1:
                raise NotSingular(counted)
            if answer.max_affected is not None and written.affected > answer.max_affected:
                raise MaxAffectedExceeded(written.affected)
        return written


def in_our_words(error: DatabaseError) -> MbaasError:
    """What a write's own guards raised (``mbaas.halt``); anything else as it is."""
    if error.sqlstate == "MB001":
        return NotSingular(int(error.message))
    if error.sqlstate == "MB002":
        return MaxAffectedExceeded(int(error.message))
    return error
