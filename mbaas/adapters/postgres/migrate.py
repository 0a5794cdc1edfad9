"""Bring a database to what the configuration asks for, and back.

``plan`` says what would be done and changes nothing; ``apply`` does it; ``migrate`` does both under one lock until
nothing is left; ``down`` takes the last migration back with the data it put aside.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TypeAlias

import msgspec

from mbaas.adapters.postgres.database import Database
from mbaas.adapters.postgres.migration_back import plan_back
from mbaas.adapters.postgres.migration_plan import Wanted, WantedFunction, find_way, policies_source
from mbaas.adapters.postgres.migration_run import (
    PATIENCE,
    Applied,
    Patience,
    begin,
    migrator,
    publish,
    read_unfinished,
    record,
    run,
)
from mbaas.adapters.postgres.published import encode_catalog
from mbaas.adapters.postgres.schema_state import read_state
from mbaas.adapters.postgres.scripts import Script, pending_scripts
from mbaas.adapters.postgres.session import Session, open_session
from mbaas.core.errors import DestructiveChange, MigrationError
from mbaas.core.observe import Observe, ignore
from mbaas.core.schema.adopted import check_adopted
from mbaas.core.schema.catalog import Catalog
from mbaas.core.sql.migration import Plan, Snapshot, script_step
from mbaas.core.sql.tables import tables

Policies: TypeAlias = Callable[[str], tuple[str, ...]]  # a collection's name -> statements that make its policies

# A table up to this size is copied, scanned and indexed in some 50 ms: holding it that long beats doing it in steps.
SHORT_BYTES = 8 * 1024 * 1024

_STATUS = """
select coalesce(json_agg(json_build_object(
    'id', id, 'kind', kind, 'state', state, 'hash', hash, 'done', done,
    'steps', json_array_length(plan -> 'steps'), 'titles', (select json_agg(step ->> 'title') from json_array_elements(
        plan -> 'steps') as step),
    'error', error, 'reverts', reverts,
    'started_at', to_char(started_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'finished_at', to_char(finished_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
) order by id), '[]')::text from mbaas.migrations
"""
_LAST = """
select json_build_object('id', id, 'plan', plan)::text from mbaas.migrations
where kind = 'up' and done > 0 and state in ('applied', 'failed', 'superseded', 'running', 'interrupted')
order by id desc limit 1
"""


class MigrationStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One row of ``mbaas.migrations``. done: steps of ``steps`` that were done."""

    id: int
    kind: str
    state: str
    hash: str
    done: int
    steps: int
    titles: tuple[str, ...] | None
    error: str | None
    reverts: int | None
    started_at: datetime
    finished_at: datetime | None


async def plan(
    database: Database,
    desired: Catalog,
    policies: Policies,
    functions_sql: Mapping[str, str] | None = None,
    *,
    scripts: Sequence[Script] = (),
    short_bytes: int = SHORT_BYTES,
) -> Plan:
    """What would be done now; no steps when nothing. An unfinished migration to the same end is what is planned.

    functions_sql: SQL that creates each function of the configuration. short_bytes: the largest table that is changed
    under one lock. Raises ConfigError for what PostgreSQL does not take, MigrationError for what stands in the way.
    """
    wished = _Wish(desired, policies, functions_sql or {}, scripts, short_bytes)
    async with open_session(database.url) as session:
        return await wished.plan(session)


async def apply(
    database: Database,
    plan: Plan,
    *,
    allow_destructive: bool = False,
    patience: Patience = PATIENCE,
    observe: Observe = ignore,
) -> Applied:
    """Do it, or go on with it. Raises DestructiveChange before the first step unless allowed, MigrationError when a
    step is refused, when the schema has changed since, or when another migrator does not finish in time.
    """
    _guard(plan, allow_destructive)
    async with migrator(database.url, patience) as session:
        return await _apply(session, plan, patience, observe)


async def migrate(
    database: Database,
    desired: Catalog,
    policies: Policies,
    functions_sql: Mapping[str, str] | None = None,
    *,
    scripts: Sequence[Script] = (),
    short_bytes: int = SHORT_BYTES,
    allow_destructive: bool = False,
    patience: Patience = PATIENCE,
    observe: Observe = ignore,
) -> tuple[Applied, ...]:
    """Plan and apply under one lock until nothing is left: for a start, where several nodes may come at once.

    ``desired`` is then published as what is in force, rules included.
    """
    wished = _Wish(desired, policies, functions_sql or {}, scripts, short_bytes)
    catalog = encode_catalog(desired)
    done: list[Applied] = []
    async with migrator(database.url, patience) as session:
        while True:
            found = await wished.plan(session)
            if not found.steps:
                await _adopt(session, found)
                await publish(session, catalog)
                return tuple(done)
            _guard(found, allow_destructive)
            applied = await _apply(session, found, patience, observe, catalog)
            done.append(applied)
            if not found.more and not applied.resumed:
                return tuple(done)


async def down(
    database: Database,
    steps: int = 1,
    *,
    short_bytes: int = SHORT_BYTES,
    patience: Patience = PATIENCE,
    observe: Observe = ignore,
) -> tuple[Applied, ...]:
    """Take the last ``steps`` migrations back, the latest first. What they put aside returns; what they added is put
    aside in turn. Raises MigrationError when there is none, or when today's rows do not fit into the former schema.
    """
    done: list[Applied] = []
    async with migrator(database.url, patience) as session:
        for _ in range(steps):
            while True:
                found = await _plan_down(session, short_bytes)
                done.append(await _apply(session, found, patience, observe))
                if not found.more:
                    break
    return tuple(done)


async def status(database: Database) -> tuple[MigrationStatus, ...]:
    """Every migration, the oldest first."""
    async with open_session(database.url) as session:
        return msgspec.json.decode(await session.fetch(_STATUS), type=tuple[MigrationStatus, ...])


async def purge(database: Database, before: datetime, *, patience: Patience = PATIENCE) -> int:
    """Forget for good what was put aside before a moment (aware). Returns how many storages went."""
    async with migrator(database.url, patience) as session:
        return int(await session.fetch("select mbaas.purge($1::text::timestamptz)", before.isoformat()))


def _guard(plan: Plan, allow_destructive: bool) -> None:
    if plan.destructive and not allow_destructive:
        raise DestructiveChange(
            "; ".join(step.destructive or "" for step in plan.destructive),
            hint="run it with --allow-destructive when that is what you want",
            details=[step.title for step in plan.destructive],
        )


async def _apply(
    session: Session, plan: Plan, patience: Patience, observe: Observe, catalog: str | None = None
) -> Applied:
    unfinished = await read_unfinished(session)
    if unfinished is not None and unfinished.hash == plan.hash:
        start = unfinished.done
        await run(session, unfinished.id, plan, start=start, patience=patience, observe=observe, catalog=catalog)
        return Applied(id=unfinished.id, steps=len(plan.steps) - unfinished.done, resumed=True)
    state = await read_state(session)
    if state.digest != plan.base:
        latest = await session.fetch(
            "select hash from mbaas.migrations where state = 'applied' order by id desc limit 1"
        )
        if latest == plan.hash:  # another migrator had the same plan and was first
            return Applied(id=None)
        raise MigrationError("the schema has changed since this plan was made", hint="plan again")
    if not plan.steps:
        await _adopt(session, plan)
        return Applied(id=None)
    migration = await begin(session, plan)
    await run(session, migration, plan, start=0, patience=patience, observe=observe, catalog=catalog)
    return Applied(id=migration, steps=len(plan.steps))


async def _adopt(session: Session, plan: Plan) -> None:
    """What is there already as it is wanted becomes ours; what is wanted in other words is known by them."""
    if plan.sources != plan.before.sources:
        await session.execute("begin")
        await record(session, plan)
        await session.execute("commit")


async def _plan_down(session: Session, short_bytes: int) -> Plan:
    unfinished = await read_unfinished(session)
    if unfinished is not None and unfinished.plan.kind == "down":
        return unfinished.plan
    text = await session.fetch(_LAST)
    if text is None:
        raise MigrationError("there is no migration to take back", hint="see: mbaas migrate status")
    last = msgspec.json.decode(text, type=_Last)
    return await plan_back(session, last.id, last.plan, short_bytes=short_bytes)


class _Last(msgspec.Struct, frozen=True):
    id: int
    plan: Plan


class _Wish:
    """What the configuration asks for, as far as it does not depend on the database."""

    def __init__(
        self,
        desired: Catalog,
        policies: Policies,
        functions_sql: Mapping[str, str],
        scripts: Sequence[Script],
        short_bytes: int,
    ) -> None:
        callers = {function.name: function.execute for function in desired.functions}
        self._scripts, self._short_bytes = scripts, short_bytes
        self._ours = {name for name, made in desired.collections.items() if not (made.view or made.adopted)}
        self._adopted = {name: made for name, made in desired.collections.items() if made.adopted}
        self._theirs = frozenset(self._adopted) | {made.name for made in desired.functions if made.adopted}
        self._wanted = Wanted(
            tables=tables(desired),
            policies={name: policies(name) for name, made in desired.collections.items() if name in self._ours},
            functions={name: WantedFunction(sql, callers.get(name, ())) for name, sql in functions_sql.items()},
            patterns=tuple(
                (f"{collection.name}.{field.name}", field.pattern)
                for collection in desired.collections.values()
                if not collection.adopted
                for field in collection.fields
                if field.pattern is not None
            ),
        )

    async def plan(self, session: Session) -> Plan:
        pending = await pending_scripts(session, self._scripts)
        first = [script for script in pending if script.before]
        target = self._target(first)
        unfinished = await read_unfinished(session)
        if unfinished is not None and unfinished.plan.kind == "up" and unfinished.plan.target == target:
            return unfinished.plan
        state = await read_state(session)
        steps = tuple(script_step(script.name, script.sql, script.sha256, script.down) for script in (first or pending))
        if first:
            return Plan(base=state.digest, target=target, steps=steps, sources=state.sources, more=True)
        if not pending:
            check_adopted(self._adopted, state.tables)
        way = await find_way(session, state.without(self._theirs), self._wanted, short_bytes=self._short_bytes)
        managed = [*way.pairing.dropped, *(found.before for found in way.pairing.pairs.values())]
        old_names = {found.after.name: found.old_name for found in way.pairing.pairs.values()}
        there = [old_names.get(table.name, table.name) for table in managed]
        return Plan(
            base=state.digest,
            target=target,
            steps=way.steps + steps,
            sources=self._wanted.sources,
            before=Snapshot(
                tables={name: state.tables[name] for name in sorted(there)},
                sources=state.sources,
                renamed_tables={old: new for new, old in old_names.items() if old != new},
                renamed_columns={name: found.renamed for name, found in way.pairing.pairs.items() if found.renamed},
            ),
        )

    def _target(self, first: Sequence[Script]) -> str:
        """Equal for equal wishes: the same configuration and the same files. first: some of them are to run first."""
        parts = [
            sorted(self._wanted.tables.items()),
            sorted((name, policies_source(sql)) for name, sql in self._wanted.policies.items()),
            sorted((name, function.source) for name, function in self._wanted.functions.items()),
            [(script.name, script.sha256) for script in self._scripts],
            bool(first),
        ]
        return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()
