"""What a database holds, tables and functions, as our own values. Source: PostgreSQL documentation, system catalogs."""

from __future__ import annotations

from collections.abc import Collection as Names

import msgspec

from mbaas.adapters.postgres.database import Database
from mbaas.adapters.postgres.session import Session, open_session
from mbaas.core.identity import Role
from mbaas.core.schema.catalog import (
    Argument,
    Catalog,
    Check,
    Collection,
    Field,
    Function,
    Index,
    Reference,
    Volatility,
)
from mbaas.core.schema.table import Table
from mbaas.core.schema.types import type_of
from mbaas.core.schema.view_columns import column_origins

ROLES: tuple[Role, ...] = ("anon", "authenticated", "service_role")
# Members of extensions are theirs; a name with a dot could not be told from a qualified one.
_TABLES = """
select coalesce(json_agg(json_build_object(
    'bytes', pg_table_size(c.oid),
    'populated', pg_relation_size(c.oid) > 0 or c.relkind = 'p',
    'partitioned', c.relkind = 'p',
    'table', json_build_object(
        'name', c.relname,
        'row_security', c.relrowsecurity,
        'columns', (
            select coalesce(json_agg(json_build_object(
                'name', attname,
                'type', format_type(atttypid, atttypmod),
                'not_null', attnotnull,
                'identity', attidentity <> '',
                'default', case when attgenerated = '' then pg_get_expr(adbin, adrelid) end,
                'generated', case when attgenerated <> '' then pg_get_expr(adbin, adrelid) end
            ) order by attnum), '[]')
            from pg_attribute
            left join pg_attrdef on adrelid = attrelid and adnum = attnum
            where attrelid = c.oid and attnum > 0 and not attisdropped
        ),
        'primary', (select k.key from keys as k where k.conrelid = c.oid and k.contype = 'p'),
        'uniques', (
            select coalesce(json_agg(k.key order by k.conname), '[]') from keys as k
            where k.conrelid = c.oid and k.contype = 'u'
        ),
        'checks', (
            select coalesce(json_agg(json_build_object(
                'name', conname, 'expression', pg_get_expr(conbin, conrelid), 'valid', convalidated
            ) order by conname), '[]')
            from pg_constraint where conrelid = c.oid and contype = 'c'
        ),
        'foreigns', (
            select coalesce(json_agg(json_build_object(
                'name', conname,
                'columns', (
                    select json_agg(attname order by n) from unnest(conkey) with ordinality as k (number, n)
                    join pg_attribute on attrelid = conrelid and attnum = k.number
                ),
                'table', case when ns.nspname = 'public' then '' else ns.nspname || '.' end || target.relname,
                'target', (
                    select json_agg(attname order by n) from unnest(confkey) with ordinality as k (number, n)
                    join pg_attribute on attrelid = confrelid and attnum = k.number
                ),
                'on_delete', case confdeltype when 'a' then 'no action' when 'r' then 'restrict'
                    when 'c' then 'cascade' when 'n' then 'set null' else 'set default' end,
                'plain', confupdtype = 'a' and confmatchtype = 's' and not condeferrable and confdelsetcols is null,
                'valid', convalidated
            ) order by conname), '[]')
            from pg_constraint
            join pg_class as target on target.oid = confrelid
            join pg_namespace as ns on ns.oid = target.relnamespace
            where conrelid = c.oid and contype = 'f' and conparentid = 0
        ),
        'indexes', (
            select coalesce(json_agg(json_build_object(
                'name', i.relname,
                'unique', indisunique,
                'method', amname,
                'where', pg_get_expr(indpred, indrelid),
                'valid', indisvalid and indisready,
                'plain', p.plain,
                'fields', p.fields
            ) order by i.relname), '[]')
            from pg_index as x
            join pg_class as i on i.oid = x.indexrelid
            join pg_am on pg_am.oid = i.relam
            cross join lateral (select * from parts where parts.indexrelid = x.indexrelid) as p
            where x.indrelid = c.oid and not exists (
                select from pg_constraint where conindid = x.indexrelid and contype in ('p', 'u', 'x')
            )
        ),
        'triggers', (
            select coalesce(json_agg(substr(tgname, 7) order by tgname), '[]') from pg_trigger
            where tgrelid = c.oid and tgname in ('mbaas_touch', 'mbaas_stamp')
        )
    )
) order by c.relname), '[]')::text
from pg_class as c
where c.relnamespace = to_regnamespace($1) and c.relkind in ('r', 'p') and not c.relispartition
    and strpos(c.relname, '.') = 0
    and not exists (
        select from pg_depend where classid = 'pg_class'::regclass and objid = c.oid and deptype = 'e'
    )
"""
_PARTS = r"""
with parts as (
    select indexrelid,
        indnatts = indnkeyatts and not indnullsnotdistinct and relindex.reloptions is null
            and bool_and(number <> 0 and (opcdefault or opcname ~ '^vector_[a-z0-9]+_ops$')
                and (option = 0 or (option = 3 and amname = 'btree'))
                and (collation_of = 0 or collation_of = attcollation)) as plain,
        coalesce(json_agg(json_build_object(
            'name', attname, 'descending', option & 1 = 1,
            'operators', case when opcname ~ '^vector_[a-z0-9]+_ops$' then opcname end
        ) order by n)
            filter (where attname is not null), '[]') as fields
    from pg_index
    join pg_class as relindex on relindex.oid = indexrelid
    join pg_class as reltable on reltable.oid = indrelid and reltable.relnamespace = to_regnamespace($1)
    join pg_am on pg_am.oid = relindex.relam
    cross join lateral unnest(indkey::int2[], indoption::int2[], indclass::oid[], indcollation::oid[])
        with ordinality as k (number, option, class, collation_of, n)
    left join pg_attribute on attrelid = indrelid and attnum = nullif(number, 0)
    left join pg_opclass on pg_opclass.oid = class
    where n <= indnkeyatts
    group by indexrelid, indnatts, indnkeyatts, indnullsnotdistinct, relindex.reloptions
), keys as (
    select conrelid, contype, conname, json_build_object(
        'name', conname,
        'columns', (
            select json_agg(attname order by n) from unnest(conkey) with ordinality as k (number, n)
            join pg_attribute on attrelid = conrelid and attnum = k.number
        ),
        'plain', plain and not condeferrable
    ) as key
    from pg_constraint
    join parts on parts.indexrelid = conindid
    where contype in ('p', 'u')
)
"""
_FUNCTIONS = """
select coalesce(json_agg(json_build_object(
    'name', proname,
    'input', (
        select coalesce(json_agg(json_build_object(
            'name', coalesce(proargnames[n], ''),
            'type', format_type(type, null),
            'optional', inputs > pronargs - pronargdefaults,
            'variadic', coalesce(mode = 'v', false)
        ) order by n), '[]')
        from (
            select *, count(*) over (order by n) as inputs
            from unnest(coalesce(proallargtypes, proargtypes::oid[]), proargmodes) with ordinality as a (type, mode, n)
            where coalesce(mode, 'i') in ('i', 'b', 'v')
        ) as a
    ),
    'output', (
        select coalesce(
            json_agg(json_build_array(coalesce(proargnames[n], ''), format_type(type, null)) order by n), '[]'
        )
        from unnest(proallargtypes, proargmodes) with ordinality as a (type, mode, n)
        where mode in ('o', 'b', 't')
    ),
    'attributes', (
        select coalesce(json_agg(json_build_array(attname, format_type(atttypid, atttypmod)) order by attnum), '[]')
        from pg_attribute where attrelid = nullif(t.typrelid, 0) and attnum > 0 and not attisdropped
    ),
    'returns', format_type(prorettype, null),
    'returns_set', proretset,
    'one_row', proretset and prorows = 1,
    'of', taken.relname,
    'row', (
        select coalesce(json_agg(attname order by attnum), '[]') from pg_attribute
        where attrelid = taken.oid and attnum > 0 and not attisdropped
    ),
    'composite', t.typtype = 'c' or prorettype = 'record'::regtype,
    'collection', case when r.relkind in ('r', 'p', 'v') and r.relnamespace = 'public'::regnamespace then r.relname end,
    'volatility', case provolatile when 'i' then 'immutable' when 's' then 'stable' else 'volatile' end,
    'execute', (
        select coalesce(json_agg(distinct coalesce(rolname, 'public')), '[]')
        from aclexplode(coalesce(proacl, acldefault('f', proowner)))
        left join pg_roles on pg_roles.oid = grantee
        where privilege_type = 'EXECUTE' and grantee <> proowner
    )
) order by proname, pg_proc.oid), '[]')::text
from pg_proc
join pg_type as t on t.oid = prorettype
left join pg_class as r on r.oid = nullif(t.typrelid, 0)
left join pg_class as taken on pronargs = 1 and taken.reltype = proargtypes[0]
    and taken.relkind in ('r', 'p', 'v') and taken.relnamespace = 'public'::regnamespace
where pronamespace = 'public'::regnamespace and prokind = 'f'
    and proname in (select json_array_elements_text($1::text::json))
"""

_VIEWS = """
select json_build_object(
    'views', coalesce((
        select json_agg(json_build_object(
            'oid', c.oid::bigint,
            'name', relname,
            'columns', (
                select json_agg(attname order by attnum) from pg_attribute where attrelid = c.oid and attnum > 0
            ),
            'rule', (select ev_action from pg_rewrite where ev_class = c.oid and rulename = '_RETURN')
        )) from pg_class as c
        where relkind = 'v' and relnamespace = 'public'::regnamespace
    ), '[]'),
    'columns', coalesce((
        select json_agg(json_build_array(attrelid::bigint, attnum, relname, attname))
        from pg_attribute join pg_class as c on c.oid = attrelid
        where relkind in ('r', 'p') and relnamespace = 'public'::regnamespace and attnum > 0 and not attisdropped
    ), '[]')
)::text
"""


class FoundTable(msgspec.Struct, frozen=True):
    """A table of the database. bytes: with TOAST, without indexes. populated: it may hold rows."""

    table: Table
    bytes: int
    populated: bool
    partitioned: bool


class _FoundFunction(msgspec.Struct, frozen=True):
    name: str
    input: tuple[Argument, ...]
    output: tuple[tuple[str, str], ...]
    attributes: tuple[tuple[str, str], ...]
    returns: str
    returns_set: bool
    composite: bool
    collection: str | None
    volatility: Volatility
    execute: tuple[str, ...]
    one_row: bool
    of: str | None
    row: tuple[str, ...]


class FoundView(msgspec.Struct, frozen=True):
    """A view of the database. origins: by its columns, the table and column that they show as they are."""

    columns: tuple[str, ...]
    origins: dict[str, tuple[str, str]]


class _FoundRule(msgspec.Struct, frozen=True):
    oid: int
    name: str
    columns: tuple[str, ...]
    rule: str


class _FoundRules(msgspec.Struct, frozen=True):
    views: tuple[_FoundRule, ...]
    columns: tuple[tuple[int, int, str, str], ...]


async def read_tables(session: Session, schema: str = "public") -> dict[str, FoundTable]:
    """Every table of a schema, by name. Expressions as PostgreSQL shows them."""
    found = msgspec.json.decode(await session.fetch(_PARTS + _TABLES, schema), type=list[FoundTable])
    return {item.table.name: item for item in found}


async def read_catalog(database: Database) -> Catalog:
    """Every table of schema public as a collection without rules: what adoption starts from.

    A constraint of one field beyond ``unique`` and ``references`` is found among the collection's checks.
    """
    async with open_session(database.url) as session:
        found = await read_tables(session)
    return Catalog(collections={name: _collection(item.table) for name, item in found.items()})


async def read_functions(database: Database, names: Names[str]) -> tuple[Function, ...]:
    """The functions of schema public that are called so; an overloaded one comes once for each signature.

    The columns of a result are those of its row type or its OUT arguments. ``execute`` leaves out the owner.
    """
    async with open_session(database.url) as session:
        listed = msgspec.json.encode(sorted(names)).decode()
        text = await session.fetch(_FUNCTIONS, listed)
    return tuple(map(_function, msgspec.json.decode(text, type=list[_FoundFunction])))


async def read_views(database: Database, names: Names[str]) -> dict[str, FoundView]:
    """Those views of schema public that have one of the names. Views of views are followed to their tables."""
    if not names:
        return {}
    async with open_session(database.url) as session:
        found = msgspec.json.decode(await session.fetch(_VIEWS), type=_FoundRules)
    known = {(table, number): (name, column) for table, number, name, column in found.columns}
    views = {view.oid: column_origins(view.rule) for view in found.views}

    def traced(origin: tuple[int, int] | None) -> tuple[str, str] | None:
        while origin is not None and origin[0] in views:
            origin = views[origin[0]].get(origin[1])
        return None if origin is None else known.get(origin)

    return {
        view.name: FoundView(
            view.columns,
            {
                column: shown
                for number, column in enumerate(view.columns, 1)
                if (shown := traced((view.oid, number))) is not None
            },
        )
        for view in found.views
        if view.name in names
    }


def _function(found: _FoundFunction) -> Function:
    columns = found.output or found.attributes
    return Function(
        name=found.name,
        arguments=found.input,
        returns=found.returns,
        returns_set=found.returns_set,
        collection=found.collection,
        composite=found.composite or bool(found.output),
        columns=columns,
        volatility=found.volatility,
        execute=tuple(sorted({*found.execute, *(ROLES if "public" in found.execute else ())})),
        one_row=found.one_row,
        of=found.of,
        row=found.row,
    )


def _collection(table: Table) -> Collection:
    key = () if table.primary is None else table.primary.columns
    unique = {found.columns[0] for found in table.uniques if len(found.columns) == 1}
    references = {
        foreign.columns[0]: Reference(table=foreign.table, columns=foreign.target, on_delete=foreign.on_delete)
        for foreign in table.foreigns
        if len(foreign.columns) == 1
    }
    fields = tuple(
        Field(
            name=column.name,
            type=type_of(column.type),
            required=column.not_null and column.name not in key,
            unique=column.name in unique,
            default=column.default,
            identity=column.identity,
            generated=column.generated,
            references=references.get(column.name),
            managed=column.generated is not None or (column.name == "updated_at" and "touch" in table.triggers),
        )
        for column in table.columns
    )
    return Collection(
        name=table.name,
        fields=fields,
        key=key,
        indexes=tuple(
            Index(name=index.name, fields=index.fields, unique=index.unique, method=index.method, where=index.where)
            for index in table.indexes
            if index.plain and index.valid
        ),
        checks=tuple(Check(check.name, check.expression) for check in table.checks),
        sync="stamp" in table.triggers,
    )
