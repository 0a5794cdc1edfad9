"""A migration as a value: its steps in order, each with its SQL, its lock and its dangers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Literal, TypeAlias

import msgspec

from mbaas.core.schema.table import Table
from mbaas.core.sql.fragment import quote_text

# What a step holds while it runs, by PostgreSQL's names (documentation, table 13.2). "none": no table anyone can reach.
Lock: TypeAlias = Literal["none", "SHARE UPDATE EXCLUSIVE", "SHARE", "SHARE ROW EXCLUSIVE", "ACCESS EXCLUSIVE"]


INVOKER_VIEWS = "select mbaas.require_invoker_views()"


class Step(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that is done whole or not at all.

    alone: its statements run outside of a transaction, one by one; they may run again after a crash. done_when: for
    such a step, a query for one boolean that tells whether it is done already. repeat: run until ``done_when`` says so.
    destructive: what it takes away. heavy: why others wait longer than a moment. script: a hand-written file.
    """

    title: str
    sql: tuple[str, ...]
    lock: Lock = "none"
    table: str = ""
    alone: bool = False
    done_when: str | None = None
    repeat: bool = False
    destructive: str | None = None
    heavy: str | None = None
    script: str | None = None


class Source(msgspec.Struct, frozen=True):
    """One row of ``mbaas.schema_sources``: something the engine made, with the text it was made from."""

    collection: str
    kind: str
    name: str
    source: str | None = None


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """What there was before a plan, so that there is a way back."""

    tables: dict[str, Table] = {}
    sources: tuple[Source, ...] = ()
    renamed_tables: dict[str, str] = {}  # old name -> new name, as the plan renames them
    renamed_columns: dict[str, dict[str, str]] = {}  # new table name -> old column -> new column


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """base: a digest of what the plan starts from. target: a digest of what it leads to.

    sources: what is owned once it is done. reverts: the id of the migration that a plan of kind "down" takes back.
    more: there is more to plan once these steps are done (hand-written files that come first).
    """

    kind: Literal["up", "down"] = "up"
    base: str
    target: str
    steps: tuple[Step, ...]
    sources: tuple[Source, ...] = ()
    before: Snapshot = Snapshot()
    reverts: int | None = None
    more: bool = False

    @property
    def hash(self) -> str:
        """Equal for equal steps from an equal start."""
        return hashlib.sha256(msgspec.json.encode([self.kind, self.base, self.target, self.steps])).hexdigest()

    @property
    def destructive(self) -> tuple[Step, ...]:
        return tuple(step for step in self.steps if step.destructive is not None)

    @property
    def safe(self) -> bool:
        """Nothing is taken away and nobody waits: fit to be applied on save."""
        return not any(step.destructive or step.heavy for step in self.steps)

    @property
    def text(self) -> str:
        """The plan for people: numbered steps, dangers, SQL that could be run by hand."""
        if not self.steps:
            return "-- nothing to do\n"
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        for number, step in enumerate(self.steps, 1):
            where = "alone" if step.alone else "in a transaction"
            yield f"-- {number}. {step.title}  [{step.lock}, {where}]"
            if step.destructive is not None:
                yield f"--    DESTRUCTIVE: {step.destructive}"
            if step.heavy is not None:
                yield f"--    HEAVY: {step.heavy}"
            if step.repeat:
                yield "--    repeated until nothing is left"
            yield from (statement.rstrip().rstrip(";") + ";" for statement in step.sql)
            yield ""
        if self.more:
            yield "-- the rest is planned once these have run"


def script_step(name: str, sql: str, sha256: str, down: str | None) -> Step:
    """A hand-written file, run whole and noted. It may not leave a view that shows clients what rules hide."""
    kept = "null" if down is None else quote_text(down)
    note = f"insert into mbaas.scripts (name, sha256, down) values ({quote_text(name)}, {quote_text(sha256)}, {kept})"
    return Step(title=f"migrations/{name}", sql=(sql, note, INVOKER_VIEWS), lock="ACCESS EXCLUSIVE", script=name)


def script_back(name: str, down: str) -> Step:
    """What a hand-written file says takes it back."""
    note = f"delete from mbaas.scripts where name = {quote_text(name)}"
    return Step(title=f"migrations/{name}, taken back", sql=(down, note), lock="ACCESS EXCLUSIVE", script=name)


def altering(title: str, table: str, *statements: str, destructive: str | None = None) -> Step:
    """A step that keeps everybody else from the table, readers too, for a moment."""
    return Step(title=title, table=table, sql=statements, lock="ACCESS EXCLUSIVE", destructive=destructive)
