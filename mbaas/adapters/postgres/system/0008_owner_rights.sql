-- What of the database runs with its owner's rights, past the rules: for `mbaas doctor`, and for what is refused below.
-- callers: which of the two roles of clients reach it.
create function mbaas.owner_rights() returns table (kind text, name text, callers text[]) language sql stable as $$
    with roles (role) as (
        values ('anon'), ('authenticated')
    ), spaces as (
        select oid, nspname from pg_namespace
        where nspname not in ('mbaas', 'information_schema') and nspname not like 'pg\_%'
            and nspname not like 'mbaas\_dropped\_%'
    ), relations as (
        select c.oid, c.relkind, c.relrowsecurity, c.reloptions, format('%I.%I', nspname, relname) as name, array(
            select role from roles
            where has_any_column_privilege(role, c.oid, 'SELECT, INSERT, UPDATE') or has_table_privilege(role, c.oid, 'DELETE')
        ) as callers
        from pg_class as c
        join spaces on spaces.oid = relnamespace
        where relkind in ('v', 'm', 'r', 'p', 'f') and not exists (
            select from pg_depend where classid = 'pg_class'::regclass and objid = c.oid and deptype = 'e'
        )
    ), functions as (
        select p.oid, prosecdef, format('%I.%I(%s)', nspname, proname, pg_get_function_identity_arguments(p.oid)) as name,
            array(select role from roles where has_function_privilege(role, p.oid, 'EXECUTE')) as callers
        from pg_proc as p
        join spaces on spaces.oid = pronamespace
        where not exists (
            select from pg_depend where classid = 'pg_proc'::regclass and objid = p.oid and deptype = 'e'
        )
    )
    select case relkind when 'm' then 'materialized view' else 'view' end, name, callers from relations
    where callers <> '{}' and (relkind = 'm' or relkind = 'v' and not exists (
        select from pg_options_to_table(reloptions)
        where option_name = 'security_invoker' and option_value::boolean
    ))
    union all
    select 'table without row security', name, callers from relations
    where callers <> '{}' and relkind in ('r', 'p', 'f') and not relrowsecurity
    union all
    select 'definer function', name, callers from functions where prosecdef
    union all
    select 'trigger', format('%I on %s, which calls %s', tgname, relations.name, functions.name), '{}'
    from pg_trigger
    join relations on relations.oid = tgrelid
    join functions on functions.oid = tgfoid
    where not tgisinternal and functions.name not like 'auth.%'  -- our own
    union all
    select 'rewrite rule', format('%I on %s', rulename, relations.name), '{}'
    from pg_rewrite
    join relations on relations.oid = ev_class
    where rulename <> '_RETURN'
    order by 1, 2
$$;

-- Ends what has just made such a view, or has just let a client at it.
create function mbaas.require_invoker_views() returns void language plpgsql as $$
declare
    found record;
begin
    for found in select * from mbaas.owner_rights() where kind in ('view', 'materialized view') limit 1 loop
        raise exception using errcode = '42501',
            message = format('%s %s shows every row to %s, whatever the rules say',
                found.kind, found.name, array_to_string(found.callers, ' and ')),
            hint = case found.kind
                when 'view' then format('alter view %s set (security_invoker = true), or revoke what was granted', found.name)
                else 'revoke what was granted; a function that is security definer can show some of it'
            end;
    end loop;
end
$$;
