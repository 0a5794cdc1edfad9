"""Writes that hooks watch: records become dicts, each event runs its chain, all in one transaction.

Rules hold as everywhere: what the hooks let pass is written by the same statement as without them. A field's own rule
is about what the caller named; a hook may set any field. The stored records come back whole for the hooks; what the
caller sees of them is asked in a last statement of the transaction.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeAlias

import msgspec

from mbaas.adapters.postgres.as_caller import AsCaller
from mbaas.adapters.postgres.database import Transaction
from mbaas.adapters.postgres.enlisted import Door
from mbaas.core.errors import UnknownPayloadField
from mbaas.core.plan.authorize import AuthorizedDelete, AuthorizedInsert, AuthorizedUpdate, AuthorizedWrite, as_stored
from mbaas.core.plan.types import Conflict, DeletePlan, InsertPlan, UpdatePlan, WritePlan
from mbaas.core.query.errors import MaxAffectedExceeded, NotSingular
from mbaas.core.schema.catalog import Collection, Field
from mbaas.core.sql.read import render_given
from mbaas.core.sql.rows import keys
from mbaas.core.sql.write import render_exists, render_write
from mbaas.hooks.dispatch import Hooks
from mbaas.hooks.events import (
    Done,
    Record,
    RecordCreate,
    RecordCreated,
    RecordDelete,
    RecordDeleted,
    RecordUpdate,
    RecordUpdated,
)
from mbaas.modules.records.results import Written, page_of

_WATCHED: dict[type[Any], tuple[type[Any], ...]] = {
    InsertPlan: (RecordCreate, RecordCreated),
    UpdatePlan: (RecordUpdate, RecordUpdated),
    DeletePlan: (RecordDelete, RecordDeleted),
}
_Raw: TypeAlias = dict[str, msgspec.Raw]
_RAW_ROWS = msgspec.json.Decoder(list[_Raw])


class HookedWrites:
    """The same writes as without hooks, with hooks."""

    def __init__(self, database: Door, hooks: Hooks, emit: Callable[[Done], Awaitable[None]] | None = None) -> None:
        """emit: takes what is to be told once it is committed; ``None``: the hooks themselves, it is by then."""
        self._database = database
        self._hooks = hooks
        self._emit = emit or hooks.emit

    def concerns(self, plan: WritePlan) -> bool:
        """Whether any hook is about this write. A merge may update as well as create."""
        events = _WATCHED[type(plan)]
        if isinstance(plan, InsertPlan) and _merges(plan):
            events += _WATCHED[UpdatePlan]
        name = plan.collection.name
        return any(self._hooks.wants(event, name) for event in events)

    async def write(self, authorized: AuthorizedWrite) -> Written:
        """Runs the hooks around the write, and tells those that come after once it is committed."""
        rollback = authorized.plan.answer.rollback
        caller = authorized.identity if authorized.as_caller else None
        async with self._database.transaction(caller=caller, commit=not rollback) as transaction:
            write = _Write(authorized, self._hooks, transaction)
            await write.run()
            written = await write.answer()
        for event in () if rollback else write.done():
            await self._emit(event)
        return written


class _Write:
    """One write under way."""

    def __init__(self, authorized: AuthorizedWrite, hooks: Hooks, transaction: Transaction) -> None:
        self.authorized = authorized
        self.hooks = hooks
        self.transaction = transaction
        self.collection = authorized.plan.collection
        self.created: list[Record] = []
        self.updated: list[Record] = []
        self.deleted: list[Record] = []
        self.about: dict[str, Any] = {
            "collection": self.collection.name,
            "identity": authorized.identity,
            "transaction": AsCaller(transaction, authorized.identity, already=authorized.as_caller),
        }
        # By id() of a record, with the record, so that it lives as long: its values as they were spelled.
        self.spelled: dict[int, tuple[Record, _Raw]] = {}

    async def run(self) -> None:
        authorized = self.authorized
        if isinstance(authorized, AuthorizedInsert):
            await self.insert(authorized)
        elif isinstance(authorized, AuthorizedUpdate):
            await self.update(authorized)
        else:
            await self.delete(authorized)

    async def insert(self, authorized: AuthorizedInsert) -> None:
        plan = authorized.plan
        if not self.hooks.wants(RecordCreate, self.collection.name) and not _merges(plan):
            self.created = await self.store(authorized)
            return
        names = {field.name for field in plan.fields}
        for record in self.records(plan.payload):
            values = {name: value for name, value in record.items() if name in names}
            if not plan.missing_default:
                values = dict.fromkeys(sorted(names)) | values
            await self.insert_one(authorized, values, self.spelled[id(record)][1])

    async def insert_one(self, authorized: AuthorizedInsert, values: Record, spelled: _Raw) -> None:
        async def create(event: RecordCreate) -> Record:
            stored = await self.store(self.one(authorized, event.values, spelled))
            return stored[0] if stored else {}

        async def merge(event: RecordUpdate) -> list[Record]:
            return await self.store(self.one(authorized, target | event.changes, spelled))

        conflict = authorized.plan.conflict
        if conflict is not None and await self.exists(self.one(authorized, values, spelled)):
            if conflict.update is None:
                return
            target = {name: value for name, value in values.items() if name in conflict.target}
            changes = {name: value for name, value in values.items() if name not in conflict.target}
            merged = await self.hooks.run(RecordUpdate(changes=changes, **self.about), merge)
            self.updated.extend(merged)
            return
        record = await self.hooks.run(RecordCreate(values=values, **self.about), create)
        if record:
            self.created.append(record)

    async def exists(self, authorized: AuthorizedInsert) -> bool:
        row = await self.transaction.fetch_row(render_exists(authorized.plan))
        return row is not None and row[0] in ("t", "true")

    def one(self, authorized: AuthorizedInsert, values: Record, spelled: _Raw) -> AuthorizedInsert:
        """The insert of one record, with whatever fields the hooks made of it."""
        plan = authorized.plan
        fields = _fields(self.collection, values)
        conflict = plan.conflict
        if conflict is not None and conflict.update is not None:
            # What the caller could not overwrite stays, what a hook added goes in.
            kept = {*conflict.target, *(field.name for field in plan.fields)} - {*conflict.update}
            update = tuple(field.name for field in fields if field.name not in kept)
            conflict = Conflict(target=conflict.target, update=update)
        payload = f"[{_spell(values, spelled)}]"
        plan = msgspec.structs.replace(plan, payload=payload, fields=fields, conflict=conflict)
        return msgspec.structs.replace(authorized, plan=plan)

    async def update(self, authorized: AuthorizedUpdate) -> None:
        plan = authorized.plan
        names = {field.name for field in (*plan.fields, *plan.fixed)}
        (record,) = self.records(f"[{plan.payload}]")
        spelled = self.spelled[id(record)][1]
        fixed = {field.name for field in plan.fixed}

        async def change(event: RecordUpdate) -> list[Record]:
            fields = tuple(field for field in _fields(self.collection, event.changes) if field.name not in fixed)
            kept = tuple(field for field in plan.fixed if field.name in event.changes)
            changed = msgspec.structs.replace(plan, payload=_spell(event.changes, spelled), fields=fields, fixed=kept)
            return await self.store(msgspec.structs.replace(authorized, plan=changed))

        changes = {name: value for name, value in record.items() if name in names}
        self.updated = await self.hooks.run(RecordUpdate(changes=changes, **self.about), change)

    async def delete(self, authorized: AuthorizedDelete) -> None:
        async def remove(_: RecordDelete) -> list[Record]:
            return await self.store(authorized)

        self.deleted = await self.hooks.run(RecordDelete(**self.about), remove)

    async def store(self, authorized: AuthorizedWrite) -> list[Record]:
        """Carries it out. The records as stored."""
        row = await self.transaction.fetch_row(render_write(as_stored(authorized)))
        return [] if row is None or row[0] is None else self.records(row[0])

    def records(self, text: str) -> list[Record]:
        found: list[Record] = msgspec.json.decode(text)
        self.spelled.update(
            (id(record), (record, raw)) for record, raw in zip(found, _RAW_ROWS.decode(text), strict=True)
        )
        return found

    async def answer(self) -> Written:
        """Checks what the caller made the write depend on, and asks what the caller sees of it."""
        answer = self.authorized.plan.answer
        records = [*self.created, *self.updated, *self.deleted]
        page = None
        rows = len(records)
        if answer.max_affected is not None and rows > answer.max_affected:
            raise MaxAffectedExceeded(rows)
        shown = self.authorized.rows
        if shown is not None:
            payload = ",".join(_spell(record, self.spelled.get(id(record), (record, {}))[1]) for record in records)
            statement = render_given(self.authorized.identity, shown, answer, f"[{payload}]")
            page = page_of(await self.transaction.fetch_row(statement), keys(shown.plan))
            rows = page.rows
        if answer.singular and not answer.location and rows != 1:
            raise NotSingular(rows)
        return Written(len(records), len(self.created), page)

    def done(self) -> list[Done]:
        about: dict[str, Any] = {"collection": self.collection.name, "identity": self.authorized.identity}
        events: list[Done] = []
        if self.created:
            events.append(RecordCreated(records=self.created, **about))
        if self.updated:
            events.append(RecordUpdated(records=self.updated, **about))
        if self.deleted:
            events.append(RecordDeleted(records=self.deleted, **about))
        return events


def _merges(plan: InsertPlan) -> bool:
    return plan.conflict is not None and plan.conflict.update is not None


def _fields(collection: Collection, names: Iterable[str]) -> tuple[Field, ...]:
    """Sorted, so that equal sets of fields give equal statements. Raises UnknownPayloadField."""
    found = []
    for name in sorted(names):
        field = collection.field(name)
        if field is None:
            raise UnknownPayloadField.of(collection.name, name)
        found.append(field)
    return tuple(found)


def _spell(record: Record, spelled: _Raw) -> str:
    """As JSON. A value that nobody changed is written as it came, so that a number keeps every digit."""
    originals = {name: msgspec.json.decode(raw) for name, raw in spelled.items()}
    found: dict[str, Any] = {}
    for name, value in record.items():
        same = name in originals and type(originals[name]) is type(value) and originals[name] == value
        found[name] = spelled[name] if same else value
    return msgspec.json.encode(found).decode()
