"""From what is there and what is wanted to the steps between: compare, ask PostgreSQL what expressions mean, look for
rows that stand in the way.

Nothing here changes the database; what PostgreSQL is asked to try is rolled back.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import msgspec

from mbaas.adapters.postgres.schema_state import State
from mbaas.adapters.postgres.session import Session, undone
from mbaas.core.errors import ConfigError, DatabaseError, MigrationError
from mbaas.core.schema import changes as c
from mbaas.core.schema.changes import Change, Kept, Phase, Phased
from mbaas.core.schema.diff import diff
from mbaas.core.schema.pairing import Pairing, pair
from mbaas.core.schema.table import Object, Table, TableColumn, objects
from mbaas.core.sql import scratch
from mbaas.core.sql.ddl import Terrain, render_steps
from mbaas.core.sql.migration import Source, Step
from mbaas.core.sql.preflight import Obstacle, all_at_once, obstacles, refusals
from mbaas.core.sql.scratch import Shown, Trial

_SHOWN = """
select coalesce(json_agg(json_build_array(kind, name, shown)), '[]')::text from (
    select case when attgenerated = '' then 'default' else 'generated' end as kind, attname::text as name,
        pg_get_expr(adbin, adrelid) as shown
    from pg_attrdef join pg_attribute on attrelid = adrelid and attnum = adnum
    where adrelid = $1::text::regclass
    union all
    select 'check', conname, pg_get_expr(conbin, conrelid) from pg_constraint
    where conrelid = $1::text::regclass and contype = 'c'
    union all
    select 'index', relname, pg_get_expr(indpred, indrelid) from pg_index join pg_class on pg_class.oid = indexrelid
    where indrelid = $1::text::regclass and indpred is not null
) as expressions
"""
# What a function may miss because the plan has yet to make it: table, column, type, function.
_NOT_YET = frozenset({"42P01", "42703", "42704", "42883"})


class WantedFunction(msgspec.Struct, frozen=True):
    """sql: what creates it. execute: roles that may call it."""

    sql: str
    execute: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        return msgspec.json.encode(self).decode()


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """policies: statements for each table. patterns: regular expressions, each with the field it is of.

    kept, restored: what comes back from storage. guess: whether a change of type that has to guess is allowed; only a
    way back may, where every value has been of that type before.
    """

    tables: dict[str, Table]
    policies: dict[str, tuple[str, ...]] = {}
    functions: dict[str, WantedFunction] = {}
    patterns: tuple[tuple[str, str], ...] = ()
    kept: tuple[Kept, ...] = ()
    restored: dict[str, str] = {}
    guess: bool = False

    @property
    def sources(self) -> tuple[Source, ...]:
        """Everything that is ours once this is there."""
        found = {item: text for table in self.tables.values() for item, text in objects(table).items()}
        found |= {Object(name, "policies", ""): policies_source(sql) for name, sql in self.policies.items()}
        found |= {Object("", "function", name): function.source for name, function in self.functions.items()}
        return tuple(Source(item.collection, item.kind, item.name, text) for item, text in sorted(found.items()))


class Way(msgspec.Struct, frozen=True):
    """The steps, and what the plan calls by another name than the database does."""

    steps: tuple[Step, ...]
    pairing: Pairing


def policies_source(statements: Sequence[str]) -> str:
    return msgspec.json.encode(statements).decode()


async def find_way(session: Session, state: State, wanted: Wanted, *, short_bytes: int) -> Way:
    """The steps from ``state`` to ``wanted``.

    Raises ConfigError for an expression that PostgreSQL does not take, MigrationError when rows or types stand in the
    way; its ``details`` list every obstacle with a fix.
    """
    pairing = pair(state.tables, wanted.tables, owned=state.owned, restored=wanted.restored)
    functions = list(_function_changes(state, wanted))
    if functions or pairing.created or any(map(scratch.differs, pairing.pairs.values())):
        async with undone(session):
            await _try_functions(session, functions, alone=not pairing.created)
            await _try_patterns(session, wanted.patterns)
            settled = await _settle(session, state, pairing)
            changes = _all_changes(state, wanted, settled, functions)
            await _look_for_obstacles(session, state, settled, changes, wanted)
            rewrites = await _rewrites(session, state, settled, short_bytes)
    else:
        settled, rewrites = pairing, frozenset()
        changes = _all_changes(state, wanted, settled, functions)
        if changes:
            async with undone(session):
                await _look_for_obstacles(session, state, settled, changes, wanted)
    terrain = Terrain(short=state.short(_names(settled), short_bytes), rewrites=rewrites, storage=state.storage)
    return Way(render_steps((change for _, change in changes), terrain), settled)


def _names(pairing: Pairing) -> dict[str, str]:
    """Wanted name to present name, of everything that is there."""
    dropped = {table.name: table.name for table in pairing.dropped}
    return {name: found.old_name for name, found in pairing.pairs.items()} | dropped


def _all_changes(state: State, wanted: Wanted, pairing: Pairing, functions: Iterable[Phased]) -> list[Phased]:
    found: list[Phased] = [
        (Phase.CLEAN, c.DiscardKept(f"mbaas_dropped_{aside.number}")) for aside in state.aside if not aside.complete
    ]
    found += diff(pairing, kept=wanted.kept)
    found += functions
    found += _policy_changes(state, wanted, pairing, [change for _, change in found])
    return sorted(found, key=lambda item: item[0])


def _policy_changes(state: State, wanted: Wanted, pairing: Pairing, changes: Sequence[Change]) -> Iterable[Phased]:
    released = {
        change.table
        for change in changes
        if isinstance(change, c.ChangeType | c.DropColumn | c.RestoreTable | c.EnableRowSecurity)
    }
    for table, statements in wanted.policies.items():
        old_name = pairing.pairs[table].old_name if table in pairing.pairs else table
        known = state.known.get(Object(old_name, "policies", ""))
        same = known is not None and known.source == policies_source(statements) and known.rendered == known.live
        if statements and (table in released or not same):
            yield Phase.POLICIES, c.ApplyPolicies(table, statements)


def _function_changes(state: State, wanted: Wanted) -> Iterable[Phased]:
    texts = [text for table in wanted.tables.values() for text in objects(table).values() if text is not None]
    for name, function in wanted.functions.items():
        known = state.known.get(Object("", "function", name))
        if known is not None and known.source == function.source and known.rendered == known.live:
            continue
        early = any(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text) for text in texts)
        phase = Phase.EARLY_FUNCTIONS if early else Phase.POLICIES
        callers = tuple(sorted({*function.execute, "service_role"}))
        yield phase, c.InstallFunction(name, function.sql, callers, early)
    for item in state.known:
        if item.kind == "function" and item.name not in wanted.functions:
            yield Phase.GIVE_UP, c.RemoveFunction(item.name)


async def _try_functions(session: Session, functions: Sequence[Phased], *, alone: bool) -> None:
    """Expressions may call the early ones, which therefore stay until the rollback. alone: no new table is coming."""
    installed = [change for _, change in functions if isinstance(change, c.InstallFunction)]
    for change in sorted(installed, key=lambda change: not change.early):
        # Bodies are checked when the plan runs: they may speak of what it has yet to make.
        step = render_steps([msgspec.structs.replace(change, early=True)], Terrain())[0]
        await session.execute("savepoint trial")
        try:
            await session.execute(step.sql[0])
        except DatabaseError as error:
            await session.execute("rollback to savepoint trial")
            if error.sqlstate not in _NOT_YET or change.early or alone:
                raise ConfigError(f"function {change.name}: {error.message}", hint=error.hint) from error


async def _try_patterns(session: Session, patterns: Iterable[tuple[str, str]]) -> None:
    for about, pattern in patterns:
        try:
            await session.fetch("select '' ~ $1::text", pattern)
        except DatabaseError as error:
            raise ConfigError(
                f"{about}: the pattern {pattern!r} is not valid: {error.message}",
                hint="see PostgreSQL's documentation, section 9.7.3",
            ) from error


async def _settle(session: Session, state: State, pairing: Pairing) -> Pairing:
    """Equal text for equal expressions; and every new expression tried."""
    pairs = dict(pairing.pairs)
    for name, found in pairing.pairs.items():
        if not scratch.differs(found):
            continue
        after = await _shown(session, found.after, scratch.trials(found.after))
        before = scratch.shown_under_new_names(found, state.shown)
        if found.renamed:
            old = scratch.under_old_names(found)
            before = await _shown(session, old, scratch.trials(old), scratch.renames(old.name, found.renamed))
        pairs[name] = scratch.settled(found, before, after)
    for table in pairing.created:
        await _shown(session, table, scratch.trials(table))
    return msgspec.structs.replace(pairing, pairs=pairs)


async def _shown(session: Session, table: Table, trials: Sequence[Trial], then: str = "") -> Shown:
    """How PostgreSQL shows a table's expressions. Raises ConfigError naming the one it does not take."""
    await session.execute("savepoint scratch")
    try:
        await session.execute("\n;".join([*(trial.sql for trial in trials), then]))
    except DatabaseError:
        await session.execute("rollback to savepoint scratch")
        await _blame(session, trials)
        raise
    text = await session.fetch(_SHOWN, scratch.relation(table.name))
    await session.execute("rollback to savepoint scratch")
    return {(kind, name): shown for kind, name, shown in msgspec.json.decode(text)}


async def _blame(session: Session, trials: Sequence[Trial]) -> None:
    for trial in trials:
        try:
            await session.execute(trial.sql)
        except DatabaseError as error:
            raise ConfigError(f"{trial.about}: {error.message}", hint=error.hint) from error


async def _look_for_obstacles(
    session: Session, state: State, pairing: Pairing, changes: Sequence[Phased], wanted: Wanted
) -> None:
    ordered = [change for _, change in changes]
    found = [] if wanted.guess else list(refusals(ordered))
    if not found:
        questions = obstacles(pairing, ordered, populated=state.populated(_names(pairing)), kept=wanted.kept)
        found = await _true(session, list(questions))
    if found:
        raise MigrationError(
            "; ".join(item.message for item in found),
            hint=found[0].hint,
            details=[{"message": item.message, "hint": item.hint} for item in found],
        )


async def _true(session: Session, questions: Sequence[Obstacle]) -> list[Obstacle]:
    """Those that are there. All at once; only when PostgreSQL raises, one by one."""
    if not questions:
        return []
    await session.execute("savepoint question")
    try:
        answers = msgspec.json.decode(await session.fetch(all_at_once(questions)))
        return [question for question, there in zip(questions, answers, strict=True) if there]
    except DatabaseError:
        await session.execute("rollback to savepoint question")
    return [question for question in questions if await _is_true(session, question)]


async def _is_true(session: Session, question: Obstacle) -> bool:
    try:
        return bool(await session.fetch(question.query or "select true"))
    except DatabaseError:
        await session.execute("rollback to savepoint question")
        return True


async def _rewrites(session: Session, state: State, pairing: Pairing, short_bytes: int) -> frozenset[tuple[str, str]]:
    """Columns whose addition writes a large table anew: PostgreSQL gives a table a new file then, an empty one too."""
    names = _names(pairing)
    large = state.populated(names) - state.short(names, short_bytes)
    found = set()
    for name in sorted(large & pairing.pairs.keys()):
        for column in pairing.pairs[name].after.columns:
            if column.name not in pairing.pairs[name].added:
                continue
            if column.generated is not None or column.identity or await _default_rewrites(session, column):
                found.add((name, column.name))
    return frozenset(found)


async def _default_rewrites(session: Session, column: TableColumn) -> bool:
    if column.default is None:
        return False
    begin, file, add = scratch.addition(column)
    await session.execute("savepoint scratch")
    await session.execute(begin)
    before = await session.fetch(file)
    await session.execute(add)
    after = await session.fetch(file)
    await session.execute("rollback to savepoint scratch")
    return bool(before != after)
