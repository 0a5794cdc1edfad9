-- What was done to the schema, what the engine made and may therefore drop, what it took away and kept.

create table mbaas.migrations (
    id bigint generated always as identity primary key,
    kind text not null check (kind in ('up', 'down')),
    hash text not null,
    plan json not null,
    -- running: begun, or stopped by a crash; interrupted: stopped, fit to go on; failed: a step was refused;
    -- superseded: another plan took its place; reverted: taken back
    state text not null default 'running'
        check (state in ('running', 'interrupted', 'failed', 'applied', 'superseded', 'reverted')),
    done integer not null default 0,
    error text,
    reverts bigint references mbaas.migrations,
    started_at timestamptz not null default clock_timestamp(),
    finished_at timestamptz
);

-- source: the text we wrote; rendered: how PostgreSQL shows it. As long as it still shows it so, the text is the truth.
create table mbaas.schema_sources (
    collection text not null,
    kind text not null,
    name text not null,
    source text,
    rendered text,
    primary key (collection, kind, name)
);

create table mbaas.dropped (
    number bigint primary key,
    migration bigint not null default current_setting('mbaas.migration')::bigint references mbaas.migrations,
    kind text not null check (kind in ('table', 'column', 'values')),
    collection text not null,
    field text not null default '',
    key jsonb not null default '[]',
    narrowed text,
    complete boolean not null,
    dropped_at timestamptz not null default now(),
    restored_at timestamptz,
    purged_at timestamptz
);

create table mbaas.scripts (
    name text primary key,
    sha256 text not null,
    down text,
    migration bigint not null default current_setting('mbaas.migration')::bigint references mbaas.migrations,
    applied_at timestamptz not null default clock_timestamp()
);

-- For a check on every element of an array, which a CHECK cannot express by itself.
create function mbaas.all_match(items text[], pattern text) returns boolean language sql immutable parallel safe
    return not exists (select from unnest(items) as item where item !~ pattern);
grant execute on function mbaas.all_match(text[], text) to anon, authenticated, service_role;

-- Stamps every write of a synced collection. A row's stamp always grows, even when the clock steps back.
create function mbaas.stamp() returns trigger language plpgsql as $$
begin
    if tg_op = 'UPDATE' then
        new._modified = greatest(clock_timestamp(), old._modified + interval '1 microsecond');
    else
        new._modified = clock_timestamp();
    end if;
    return new;
end
$$;

-- Carries new values of a column that is about to go into its copy. Arguments: storage, column, key columns.
-- Whoever writes the table may not write the copy, so this runs as its owner.
create function mbaas.keep() returns trigger language plpgsql security definer set search_path = '' as $$
declare
    keys text;
    news text;
begin
    select string_agg('k' || number, ', ' order by number), string_agg(format('($1).%I', name), ', ' order by number)
        into keys, news
        from unnest(tg_argv[2:]) with ordinality as key (name, number);
    execute format(
        'insert into %I.kept (%s, value) values (%s, ($1).%I) on conflict (%s) do update set value = excluded.value',
        tg_argv[0], keys, news, tg_argv[1], keys
    ) using new;
    return null;
end
$$;

-- Ends a copy that nobody will finish.
create function mbaas.discard(storage text) returns void language plpgsql as $$
declare
    watcher record;
begin
    for watcher in
        select tgname, tgrelid::regclass as on_table from pg_trigger
        where tgname = 'mbaas_keep_' || split_part(storage, '_', 3)
    loop
        execute format('drop trigger %I on %s', watcher.tgname, watcher.on_table);
    end loop;
    execute format('drop schema if exists %I cascade', storage);
    delete from mbaas.dropped where number = split_part(storage, '_', 3)::bigint;
end
$$;

-- Drops the policies of ours that stand in the way of a change of a column; the same plan makes them anew.
create function mbaas.release_policies(collection text, field text) returns void language plpgsql as $$
declare
    policy record;
    on_table regclass = format('public.%I', release_policies.collection)::regclass;
    ours text;
begin
    select string_agg(statement, E'\n') into ours
        from mbaas.schema_sources as known, json_array_elements_text(source::json) as statement
        where known.collection = release_policies.collection and known.kind = 'policies';
    for policy in
        select distinct polname from pg_policy
        join pg_depend on classid = 'pg_policy'::regclass and objid = pg_policy.oid
            and refclassid = 'pg_class'::regclass and refobjid = polrelid
        join pg_attribute on attrelid = polrelid and attnum = refobjsubid
        where polrelid = on_table and attname = field
    loop
        if ours is null or position(quote_ident(policy.polname) in ours) = 0 then
            raise exception using errcode = '2BP01',
                message = format('policy %s of %s was made by hand and depends on %s', policy.polname, collection, field),
                hint = 'drop it first, in a hand-written migration';
        end if;
        execute format('drop policy %I on %s', policy.polname, on_table);
    end loop;
end
$$;

-- Creates or replaces a function of the configuration, whatever its signature was before, and says who may call it.
create function mbaas.install_function(wanted text, source text, callers text[], check_bodies boolean)
returns void language plpgsql as $$
declare
    before text[];
    routine record;
    caller text;
begin
    perform set_config('check_function_bodies', check_bodies::text, true);
    before = array(
        select oid || ':' || xmin from pg_proc where proname = wanted and pronamespace = 'public'::regnamespace
    );
    begin
        execute source;
    exception when invalid_function_definition or duplicate_function then
        for routine in select oid from pg_proc where proname = wanted and pronamespace = 'public'::regnamespace loop
            execute format('drop routine %s', routine.oid::regprocedure);
        end loop;
        execute source;
    end;
    -- What the text did not make or replace is an earlier signature.
    for routine in
        select oid from pg_proc
        where proname = wanted and pronamespace = 'public'::regnamespace and oid || ':' || xmin = any (before)
    loop
        execute format('drop routine %s', routine.oid::regprocedure);
    end loop;
    for routine in select oid from pg_proc where proname = wanted and pronamespace = 'public'::regnamespace loop
        execute format(
            'revoke all on routine %s from public, anon, authenticated, service_role', routine.oid::regprocedure
        );
        foreach caller in array callers loop
            execute format('grant execute on routine %s to %I', routine.oid::regprocedure, caller);
        end loop;
    end loop;
    if not exists (select from pg_proc where proname = wanted and pronamespace = 'public'::regnamespace) then
        raise exception using errcode = '42883',
            message = format('the SQL of function %s creates no function public.%I', wanted, wanted),
            hint = format('let it say: create or replace function %I(...)', wanted);
    end if;
end
$$;

-- A function that something else still needs stays, but nobody may call it.
create function mbaas.remove_function(unwanted text) returns void language plpgsql as $$
declare
    routine record;
begin
    for routine in select oid from pg_proc where proname = unwanted and pronamespace = 'public'::regnamespace loop
        begin
            execute format('drop routine %s', routine.oid::regprocedure);
        exception when dependent_objects_still_exist then
            execute format(
                'revoke all on routine %s from public, anon, authenticated, service_role', routine.oid::regprocedure
            );
        end;
    end loop;
end
$$;

-- Who may do what with a collection, as the database has it: another value means that somebody changed it.
create function mbaas.policies_fingerprint(collection text) returns text language sql stable as $$
    select md5(concat_ws(E'\n', relrowsecurity, relacl::text,
        (
            select string_agg(attname || attacl::text, E'\n' order by attname) from pg_attribute
            where attrelid = pg_class.oid and attacl is not null and not attisdropped
        ),
        (
            select string_agg(concat_ws(' ', polname, polcmd, polpermissive, polroles::regrole[],
                pg_get_expr(polqual, polrelid), '/', pg_get_expr(polwithcheck, polrelid)), E'\n' order by polname)
            from pg_policy where polrelid = pg_class.oid
        ),
        (
            select string_agg(pg_get_functiondef(pg_proc.oid), E'\n' order by proname)
            from pg_policy
            join pg_depend on classid = 'pg_policy'::regclass and objid = pg_policy.oid
                and refclassid = 'pg_proc'::regclass
            join pg_proc on pg_proc.oid = refobjid and pronamespace = 'mbaas'::regnamespace
            where polrelid = pg_class.oid
        )))
    from pg_class where pg_class.oid = to_regclass(format('public.%I', collection))
$$;

create function mbaas.function_fingerprint(wanted text) returns text language sql stable as $$
    select md5(string_agg(pg_get_functiondef(oid) || coalesce(proacl::text, ''), E'\n' order by oid::regprocedure::text))
    from pg_proc
    where proname = wanted and pronamespace = 'public'::regnamespace and prokind in ('f', 'p')
$$;

-- A rule with a sub-select is a function that its policy calls. One that no policy calls any more is of a collection that
-- was renamed or has gone.
create function mbaas.sweep_rules() returns void language plpgsql as $$
declare
    unused record;
begin
    for unused in
        select oid from pg_proc
        where pronamespace = 'mbaas'::regnamespace and proname like 'rule\_%' and not exists (
            select from pg_depend
            where classid = 'pg_policy'::regclass and refclassid = 'pg_proc'::regclass and refobjid = pg_proc.oid
        )
    loop
        execute format('drop function %s', unused.oid::regprocedure);
    end loop;
end
$$;

-- Notes how PostgreSQL shows everything the engine made.
create function mbaas.record_schema() returns void language sql as $$
    with live as (
        select relname as collection, case when attgenerated = '' then 'default' else 'generated' end as kind,
            attname as name, pg_get_expr(adbin, adrelid) as rendered
        from pg_attrdef
        join pg_attribute on attrelid = adrelid and attnum = adnum
        join pg_class on pg_class.oid = adrelid and relnamespace = 'public'::regnamespace
        union all
        select relname, 'check', conname, pg_get_expr(conbin, conrelid)
        from pg_constraint
        join pg_class on pg_class.oid = conrelid and relnamespace = 'public'::regnamespace
        where contype = 'c'
        union all
        select of_table.relname, 'index', of_index.relname, pg_get_expr(indpred, indrelid)
        from pg_index
        join pg_class as of_table on of_table.oid = indrelid and of_table.relnamespace = 'public'::regnamespace
        join pg_class as of_index on of_index.oid = indexrelid
        union all
        select collection, kind, name, mbaas.policies_fingerprint(collection)
        from mbaas.schema_sources where kind = 'policies'
        union all
        select collection, kind, name, mbaas.function_fingerprint(name)
        from mbaas.schema_sources where kind = 'function'
    )
    update mbaas.schema_sources as known set rendered = live.rendered
    from live
    where (known.collection, known.kind, known.name) = (live.collection, live.kind, live.name)
        and known.rendered is distinct from live.rendered
$$;

-- Forgets for good what was put aside before a moment. Returns how many storages went.
create function mbaas.purge(before timestamptz) returns integer language plpgsql as $$
declare
    old record;
    gone integer = 0;
begin
    for old in
        select number from mbaas.dropped
        where dropped_at < purge.before and complete and restored_at is null and purged_at is null
    loop
        execute format('drop schema if exists %I cascade', 'mbaas_dropped_' || old.number);
        update mbaas.dropped set purged_at = now() where number = old.number;
        gone = gone + 1;
    end loop;
    return gone;
end
$$;
