"""Running a plan: one migrator at a time, one transaction a step, every step noted where its effect is.

A step in a transaction is noted in that transaction; one that runs alone is noted afterwards and may run again. So
after a crash the plan goes on where it stopped; the plan itself is kept in ``mbaas.migrations``.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator

import msgspec

from mbaas.adapters.postgres.session import Session, open_session
from mbaas.core.errors import DatabaseError, MbaasError, MigrationError, Unavailable
from mbaas.core.observe import MigrationStepBegan, MigrationWaits, Observe
from mbaas.core.sql.migration import Plan, Step

_LOCK = 0x6D62_6161_7302  # "mbaas" and a number: one migrator of collections at a time
_BUSY = frozenset({"55P03", "40P01"})  # lock not available, deadlock detected

_UNFINISHED = """
select json_build_object('id', id, 'hash', hash, 'done', done, 'plan', plan)::text from mbaas.migrations
where id = (select max(id) from mbaas.migrations) and state in ('running', 'interrupted')
"""
_BEGIN = """
with begun as (
    insert into mbaas.migrations (kind, hash, plan, reverts) values ($1, $2, $3::text::json, $4) returning id
), replaced as (
    update mbaas.migrations set state = 'superseded', finished_at = clock_timestamp()
    where state in ('running', 'interrupted')
)
select id from begun
"""
# What a renamed collection owns, it owns under its new name; what the plan will make is ours before it is there, so
# that a plan that is never finished leaves nothing behind that nobody may drop.
_INTEND = """
with renamed as (
    insert into mbaas.schema_sources (collection, kind, name, source, rendered)
    select new.value, kind, name, source, rendered from mbaas.schema_sources
    join json_each_text($2::text::json) as new on new.key = collection
    on conflict do nothing
)
insert into mbaas.schema_sources (collection, kind, name)
select collection, kind, name
from json_to_recordset($1::text::json) as wanted (collection text, kind text, name text)
where (collection, kind, name) not in (
    select new.value, known.kind, known.name from mbaas.schema_sources as known
    join json_each_text($2::text::json) as new on new.key = known.collection
)
on conflict do nothing
"""
_RECORD = """
with wanted as (
    select * from json_to_recordset($1::text::json) as w (collection text, kind text, name text, source text)
), forgotten as (
    delete from mbaas.schema_sources as known where not exists (
        select from wanted
        where (wanted.collection, wanted.kind, wanted.name) = (known.collection, known.kind, known.name)
    )
)
insert into mbaas.schema_sources (collection, kind, name, source) select collection, kind, name, source from wanted
on conflict (collection, kind, name) do update set source = excluded.source
"""


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """How long to wait for others. wait_s: for another migrator. lock_ms: for a table, while others queue behind us.

    attempts: how often to try for one table; between two of them everybody passes. alone_lock_ms: for steps that
    nobody queues behind.
    """

    wait_s: float = 60.0
    lock_ms: int = 500
    attempts: int = 40
    alone_lock_ms: int = 600_000


PATIENCE = Patience()


class Unfinished(msgspec.Struct, frozen=True):
    """A migration that was stopped by a crash or by a lock nobody gave."""

    id: int
    hash: str
    done: int
    plan: Plan


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """id: of ``mbaas.migrations``, ``None`` when there was nothing to do. steps: how many ran now."""

    id: int | None
    steps: int = 0
    resumed: bool = False


@contextlib.asynccontextmanager
async def migrator(url: str, patience: Patience) -> AsyncIterator[Session]:
    """A session that holds the migrators' lock. Raises MigrationError when another one does not finish in time.

    It asks again and again instead of waiting inside PostgreSQL: a waiting statement would hold a snapshot, which is
    what ``CREATE INDEX CONCURRENTLY`` of the other migrator waits for.
    """
    async with open_session(url) as session:
        deadline = asyncio.get_running_loop().time() + patience.wait_s
        while not await session.fetch("select pg_try_advisory_lock($1)", _LOCK):
            if asyncio.get_running_loop().time() > deadline:
                raise MigrationError(
                    f"another migrator has been at work for more than {patience.wait_s:g} s",
                    hint="see pg_stat_activity, application_name 'mbaas migrate'; or wait longer",
                )
            await asyncio.sleep(random.uniform(0.05, 0.15))  # noqa: S311 - jitter, not a secret
        yield session


async def read_unfinished(session: Session) -> Unfinished | None:
    """The last migration, when it was not finished."""
    text = await session.fetch(_UNFINISHED)
    return None if text is None else msgspec.json.decode(text, type=Unfinished)


async def begin(session: Session, plan: Plan) -> int:
    """Note a plan and what it is going to own. Returns its id. An unfinished one is superseded."""
    await session.execute("begin")
    text = msgspec.json.encode(plan).decode()
    migration = int(await session.fetch(_BEGIN, plan.kind, plan.hash, text, plan.reverts))
    renamed = msgspec.json.encode(plan.before.renamed_tables).decode()
    await session.fetch(_INTEND, msgspec.json.encode(plan.sources).decode(), renamed)
    await session.execute("commit")
    return migration


async def run(
    session: Session,
    migration: int,
    plan: Plan,
    *,
    start: int,
    patience: Patience,
    observe: Observe,
    catalog: str | None = None,
) -> None:
    """Every step from number ``start`` on, then the end. Raises MigrationError naming the step that was refused.

    catalog: what is in force from the end on, for the nodes to follow; a way back finds it by itself.
    """
    await session.fetch("select set_config('mbaas.migration', $1, false)", str(migration))
    for number, step in enumerate(plan.steps[start:], start + 1):
        observe(MigrationStepBegan(step.title, number, len(plan.steps)))
        try:
            await _run_step(session, migration, number, step, patience, observe)
        except DatabaseError as error:
            await _stopped(session, migration, number, plan, error)
    await session.execute("begin")
    await record(session, plan)
    await session.fetch(_FINISH, migration)
    if plan.reverts is not None and not plan.more:
        await session.fetch("update mbaas.migrations set state = 'reverted' where id = $1", plan.reverts)
        await session.fetch("select mbaas.publish_catalog_before($1)", plan.reverts)
    elif catalog is not None and not plan.more:
        await publish(session, catalog)
    await session.execute("commit")


_FINISH = "update mbaas.migrations set state = 'applied', finished_at = clock_timestamp() where id = $1"


async def publish(session: Session, catalog: str) -> None:
    """Note what is in force now, unless that is noted already."""
    await session.fetch("select mbaas.publish_catalog($1)", catalog)


async def record(session: Session, plan: Plan) -> None:
    """Note what is ours now, and how PostgreSQL shows it."""
    await session.fetch(_RECORD, msgspec.json.encode(plan.sources).decode())
    await session.execute("select mbaas.sweep_rules(); select mbaas.record_schema()")


async def _run_step(
    session: Session, migration: int, number: int, step: Step, patience: Patience, observe: Observe
) -> None:
    for attempt in range(1, patience.attempts + 1):
        try:
            if step.alone:
                await _run_alone(session, step, patience)
                await session.execute(_done(migration, number))
            else:
                timeout = f"set local lock_timeout = {patience.lock_ms}"
                await session.execute("\n;".join([timeout, *step.sql, _done(migration, number)]))
        except DatabaseError as error:
            if sqlstate(error) not in _BUSY or attempt == patience.attempts:
                raise
            observe(MigrationWaits(step.title, attempt))
            # Longer and longer pauses, with jitter: whoever holds the lock may be as regular as we are.
            await asyncio.sleep(random.uniform(0.5, 1.0) * min(0.05 * 2**attempt, 2.0))  # noqa: S311
        else:
            return


async def _run_alone(session: Session, step: Step, patience: Patience) -> None:
    await session.execute(f"set lock_timeout = {patience.alone_lock_ms}")
    while step.done_when is None or not await session.fetch(step.done_when):
        for statement in step.sql:
            await session.execute(statement)
        if not step.repeat:
            return


def _done(migration: int, number: int) -> str:
    return f"update mbaas.migrations set done = {number} where id = {migration}"  # noqa: S608 - two integers of ours


def sqlstate(error: MbaasError) -> str | None:
    """PostgreSQL's own code, whichever of our classes carries it."""
    found = getattr(error.__cause__, "sqlstate", None) or getattr(error, "sqlstate", None)
    return found if isinstance(found, str) else None


async def _stopped(session: Session, migration: int, number: int, plan: Plan, error: DatabaseError) -> None:
    """Note why, and tell: a lock that nobody gave can be had later, anything else needs another plan."""
    busy = sqlstate(error) in _BUSY
    state = "interrupted" if busy else "failed"
    step = plan.steps[number - 1]
    with contextlib.suppress(Unavailable):
        await session.execute("rollback")
        query = "update mbaas.migrations set state = $2, error = $3 where id = $1"
        await session.fetch(query, migration, state, f"{step.title}: {error.message}")
    if busy:
        message = f"step {number} ({step.title}) could not lock {step.table}: it is in use all the time"
        hint = "find long transactions in pg_stat_activity; then run the migration again, it goes on where it stopped"
    else:
        message = f"step {number} ({step.title}) was refused: {error.message}"
        hint = error.hint or "steps before it are done; mend the cause and plan again, or take the migration back"
    raise MigrationError(message, hint=hint, details=error.details) from error
