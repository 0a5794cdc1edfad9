"""What of a database could be served as it is: tables, views and functions of schema public that are not ours."""

from __future__ import annotations

import msgspec

from mbaas.adapters.postgres.introspect import read_tables
from mbaas.adapters.postgres.session import open_session
from mbaas.config.adopted import Found, FoundFunction, FoundTable, FoundView

# Members of extensions are theirs. A column of a view has no type of its own to alter, so format_type tells all of it.
_REST = """
with roles (role) as (values ('anon'), ('authenticated'), ('service_role')), relations as (
    select c.oid, relname as name, relkind, relrowsecurity, reloptions, array(
        select role from roles
        where has_any_column_privilege(role, c.oid, 'SELECT, INSERT, UPDATE')
            or has_table_privilege(role, c.oid, 'DELETE')
    ) as callers
    from pg_class as c
    where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'v', 'm', 'f') and not relispartition
        and not exists (
            select from pg_depend where classid = 'pg_class'::regclass and objid = c.oid and deptype = 'e'
        )
)
select json_build_object(
    'ours', (select coalesce(json_agg(collection), '[]') from mbaas.schema_sources where kind = 'table'),
    'our_functions', (select coalesce(json_agg(name), '[]') from mbaas.schema_sources where kind = 'function'),
    'tables', (
        select coalesce(json_object_agg(name, json_build_object(
            'row_security', relrowsecurity,
            'callers', callers,
            'policies', (
                select coalesce(json_agg(format('%s: %s for %s to %s%s%s', polname,
                    case when polpermissive then 'permissive' else 'restrictive' end,
                    case polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update'
                        when 'd' then 'delete' else 'all' end,
                    (
                        select string_agg(case r when 0 then 'public' else r::regrole::text end, ', ')
                        from unnest(polroles) as r
                    ),
                    ' using ' || pg_get_expr(polqual, polrelid), ' with check ' || pg_get_expr(polwithcheck, polrelid)
                ) order by polname), '[]')
                from pg_policy where polrelid = relations.oid
            )
        )), '{}') from relations where relkind in ('r', 'p')
    ),
    'views', (
        select coalesce(json_agg(json_build_object(
            'name', name,
            'callers', callers,
            'served', relkind = 'v' and exists (
                select from pg_options_to_table(reloptions)
                where option_name = 'security_invoker' and option_value::boolean
            ),
            'columns', (
                select json_agg(json_build_array(attname, format_type(atttypid, atttypmod)) order by attnum)
                from pg_attribute where attrelid = relations.oid and attnum > 0 and not attisdropped
            )
        ) order by name), '[]') from relations where relkind in ('v', 'm', 'f')
    ),
    'functions', (
        select coalesce(json_agg(json_build_object('name', proname, 'callers', callers) order by proname), '[]')
        from (
            select proname, array(
                select role from roles
                where exists (
                    select from pg_proc as p
                    where p.proname = pg_proc.proname and p.pronamespace = 'public'::regnamespace
                        and has_function_privilege(role, p.oid, 'EXECUTE')
                )
            ) as callers
            from pg_proc
            where pronamespace = 'public'::regnamespace and prokind = 'f'
                and prorettype not in ('trigger'::regtype, 'event_trigger'::regtype)
                and not exists (
                    select from pg_depend
                    where classid = 'pg_proc'::regclass and objid = pg_proc.oid and deptype = 'e'
                )
            group by proname
        ) as callable
    )
)::text
"""


class _Access(msgspec.Struct, frozen=True):
    row_security: bool
    callers: tuple[str, ...]
    policies: tuple[str, ...]


class _Rest(msgspec.Struct, frozen=True):
    ours: frozenset[str]
    our_functions: frozenset[str]
    tables: dict[str, _Access]
    views: tuple[FoundView, ...]
    functions: tuple[FoundFunction, ...]


async def read_found(url: str) -> Found:
    """Everything that is not ours, with who may reach it."""
    async with open_session(url) as session:
        tables = await read_tables(session)
        rest = msgspec.json.decode(await session.fetch(_REST), type=_Rest)
    return Found(
        tables=tuple(
            FoundTable(
                table=found.table,
                row_security=rest.tables[name].row_security,
                callers=rest.tables[name].callers,
                policies=rest.tables[name].policies,
            )
            for name, found in tables.items()
            if name not in rest.ours and name in rest.tables
        ),
        views=rest.views,
        functions=tuple(found for found in rest.functions if found.name not in rest.our_functions),
    )
