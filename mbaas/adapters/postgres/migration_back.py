"""The way back from a migration: a plan like any other, to what there was before, with what was put aside.

Not the recorded opposite of every step: a comparison with the database as it is now also takes back a migration that
stopped in the middle, and finds rows written since that the former schema would not take.
"""

from __future__ import annotations

import msgspec

from mbaas.adapters.postgres.introspect import read_tables
from mbaas.adapters.postgres.migration_plan import Wanted, WantedFunction, find_way
from mbaas.adapters.postgres.schema_state import Aside, State, read_state
from mbaas.adapters.postgres.session import Session
from mbaas.core.errors import MigrationError
from mbaas.core.schema.changes import Kept
from mbaas.core.schema.table import Table, objects
from mbaas.core.sql.kept import storage
from mbaas.core.sql.migration import Plan, Snapshot, script_back

_SCRIPTS = """
select coalesce(json_agg(json_build_array(name, down) order by name desc), '[]')::text
from mbaas.scripts where migration = $1
"""


async def plan_back(session: Session, migration: int, plan: Plan, *, short_bytes: int) -> Plan:
    """What takes a migration back: first its hand-written files, then, planned anew, everything else.

    Raises MigrationError when a file has no ``-- down`` part, or when rows stand in the way.
    """
    state = await read_state(session)
    target = f"back from {migration}"
    ran = msgspec.json.decode(await session.fetch(_SCRIPTS, migration), type=list[tuple[str, str | None]])
    for name, down in ran:
        if down is None:
            raise MigrationError(
                f"migrations/{name} has no way back", hint="write one by hand: the file has no part '-- down'"
            )
    by_hand = all(step.script is not None for step in plan.steps)
    if ran:
        return Plan(
            kind="down",
            base=state.digest,
            target=target + ", files",
            steps=tuple(script_back(name, down) for name, down in ran if down is not None),
            sources=plan.before.sources if by_hand and not plan.more else state.sources,
            reverts=migration,
            more=not by_hand,
        )
    everything = await _with_what_is_aside(session, state, migration)
    wanted = _wanted(plan.before, state, migration, restored=everything.restored)
    way = await find_way(session, everything.state, wanted, short_bytes=short_bytes)
    return Plan(
        kind="down",
        base=state.digest,
        target=target,
        steps=way.steps,
        sources=plan.before.sources,
        before=Snapshot(renamed_tables={new: old for old, new in plan.before.renamed_tables.items()}),
        reverts=migration,
    )


class _Everything(msgspec.Struct, frozen=True):
    """The state with the tables that are in storage among the others. restored: their storages."""

    state: State
    restored: dict[str, str]


async def _with_what_is_aside(session: Session, state: State, migration: int) -> _Everything:
    found, tables, shown = dict(state.found), dict(state.tables), dict(state.shown)
    restored: dict[str, str] = {}
    for aside in state.aside:
        if aside.kind != "table" or aside.migration != migration:
            continue
        name = aside.collection
        if name in found:
            raise MigrationError(
                f"{name} cannot come back: there is another table of that name", hint="rename that one first"
            )
        table = (await read_tables(session, storage(aside.number)))[name]
        found[name], tables[name], restored[name] = table, table.table, storage(aside.number)
        shown |= {item: text for item, text in objects(table.table).items() if text is not None}
    return _Everything(msgspec.structs.replace(state, found=found, tables=tables, shown=shown), restored)


def _wanted(before: Snapshot, state: State, migration: int, *, restored: dict[str, str]) -> Wanted:
    policies: dict[str, tuple[str, ...]] = {}
    functions: dict[str, WantedFunction] = {}
    for source in before.sources:
        if source.kind == "policies" and source.source is not None and source.collection in before.tables:
            policies[source.collection] = msgspec.json.decode(source.source, type=tuple[str, ...])
        if source.kind == "function" and source.source is not None:
            functions[source.name] = msgspec.json.decode(source.source, type=WantedFunction)
    return Wanted(
        tables={name: _renamed_back(table, before) for name, table in before.tables.items()},
        policies=policies,
        functions=functions,
        kept=tuple(
            _kept(aside, before)
            for aside in state.aside
            if aside.migration == migration and aside.complete and aside.kind != "table"
        ),
        restored=restored,
        guess=True,
    )


def _renamed_back(table: Table, before: Snapshot) -> Table:
    new_name = before.renamed_tables.get(table.name, table.name)
    renamed = before.renamed_columns.get(new_name, {})
    return msgspec.structs.replace(
        table,
        renamed_from=new_name if new_name != table.name else None,
        columns=tuple(
            msgspec.structs.replace(column, renamed_from=renamed.get(column.name)) for column in table.columns
        ),
    )


def _kept(aside: Aside, before: Snapshot) -> Kept:
    """The entry of the register, which speaks the names of the migration, in the names there were before."""
    tables = {new: old for old, new in before.renamed_tables.items()}
    columns = {new: old for old, new in before.renamed_columns.get(aside.collection, {}).items()}
    return Kept(
        storage=storage(aside.number),
        kind=aside.kind,
        table=tables.get(aside.collection, aside.collection),
        column=columns.get(aside.field, aside.field),
        key=tuple((columns.get(name, name), of) for name, of in aside.key),
        narrowed=aside.narrowed,
    )
