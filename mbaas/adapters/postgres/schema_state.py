"""What the database holds and what we know about it: tables, what is ours, what was put aside, how it was made."""

from __future__ import annotations

import hashlib

import msgspec

from mbaas.adapters.postgres.introspect import FoundTable, read_tables
from mbaas.adapters.postgres.session import Session
from mbaas.core.schema.table import Object, Table, objects
from mbaas.core.sql.migration import Source

_KNOWN = """
select json_build_object(
    'last', (select max(id) from mbaas.migrations),
    'storage', coalesce((select max(number) from mbaas.dropped), 0) + 1,
    'sources', (
        select coalesce(json_agg(json_build_object(
            'collection', collection, 'kind', kind, 'name', name, 'source', source, 'rendered', rendered,
            'live', case kind
                when 'policies' then mbaas.policies_fingerprint(collection)
                when 'function' then mbaas.function_fingerprint(name)
            end
        ) order by collection, kind, name), '[]')
        from mbaas.schema_sources
    ),
    'aside', (
        select coalesce(json_agg(json_build_object(
            'number', number, 'migration', migration, 'kind', kind, 'collection', collection, 'field', field,
            'key', key, 'narrowed', narrowed, 'complete', complete
        ) order by number), '[]')
        from mbaas.dropped where restored_at is null and purged_at is null
    )
)::text
"""


class Known(msgspec.Struct, frozen=True):
    """A row of ``mbaas.schema_sources``. live: today's fingerprint of policies or of a function."""

    collection: str
    kind: str
    name: str
    source: str | None
    rendered: str | None
    live: str | None

    @property
    def object(self) -> Object:
        return Object(self.collection, self.kind, self.name)


class Aside(msgspec.Struct, frozen=True):
    """A row of ``mbaas.dropped`` whose storage is still there."""

    number: int
    migration: int
    kind: str
    collection: str
    field: str
    key: tuple[tuple[str, str], ...]
    narrowed: str | None
    complete: bool


class _Ledger(msgspec.Struct, frozen=True):
    last: int | None
    storage: int
    sources: tuple[Known, ...]
    aside: tuple[Aside, ...]


class State(msgspec.Struct, frozen=True, kw_only=True):
    """tables: expressions as we wrote them where PostgreSQL still shows what it showed then, else as it shows them.

    shown: how PostgreSQL shows every expression. storage: the first free number for what is put aside.
    """

    found: dict[str, FoundTable]
    tables: dict[str, Table]
    shown: dict[Object, str]
    known: dict[Object, Known]
    aside: tuple[Aside, ...]
    storage: int
    last: int | None

    @property
    def owned(self) -> frozenset[Object]:
        return frozenset(self.known)

    @property
    def sources(self) -> tuple[Source, ...]:
        return tuple(
            Source(item.collection, item.kind, item.name, known.source) for item, known in sorted(self.known.items())
        )

    @property
    def digest(self) -> str:
        """Equal as long as nothing changed that a plan rests on."""
        tables = {name: found.table for name, found in self.found.items()}
        parts = [self.last, self.storage, sorted(tables.items()), sorted(self.known.values(), key=lambda k: k.object)]
        return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()

    def without(self, names: frozenset[str]) -> State:
        """The same, blind to these tables and functions: what is somebody else's now, though it may have been ours."""
        return msgspec.structs.replace(
            self,
            found={name: table for name, table in self.found.items() if name not in names},
            tables={name: table for name, table in self.tables.items() if name not in names},
            known={item: known for item, known in self.known.items() if (item.collection or item.name) not in names},
        )

    def populated(self, names: dict[str, str]) -> frozenset[str]:
        """Wanted names of tables that may hold rows. names: from wanted to present ones."""
        return frozenset(new for new, old in names.items() if old in self.found and self.found[old].populated)

    def short(self, names: dict[str, str], limit: int) -> frozenset[str]:
        """Wanted names of tables that take the short way: no larger than ``limit`` bytes, or without another way."""
        found = {new: self.found[old] for new, old in names.items() if old in self.found}
        return frozenset(
            name for name, table in found.items() if not table.populated or table.partitioned or table.bytes <= limit
        )


async def read_state(session: Session) -> State:
    """One look at everything a plan rests on."""
    found = await read_tables(session)
    ledger = msgspec.json.decode(await session.fetch(_KNOWN), type=_Ledger)
    known = {item.object: item for item in ledger.sources}
    shown = {item: text for table in found.values() for item, text in objects(table.table).items() if text is not None}
    return State(
        found=found,
        tables={name: _as_written(item.table, known) for name, item in found.items()},
        shown=shown,
        known=known,
        aside=ledger.aside,
        storage=ledger.storage,
        last=ledger.last,
    )


def _as_written(table: Table, known: dict[Object, Known]) -> Table:
    def text(kind: str, name: str, shown: str | None) -> str | None:
        written = known.get(Object(table.name, kind, name))
        if shown is None or written is None or written.rendered != shown or written.source is None:
            return shown
        return written.source

    return msgspec.structs.replace(
        table,
        columns=tuple(
            msgspec.structs.replace(
                column,
                default=text("default", column.name, column.default),
                generated=text("generated", column.name, column.generated),
            )
            for column in table.columns
        ),
        checks=tuple(
            msgspec.structs.replace(check, expression=text("check", check.name, check.expression))
            for check in table.checks
        ),
        indexes=tuple(
            msgspec.structs.replace(index, where=text("index", index.name, index.where)) for index in table.indexes
        ),
    )
