-- What each migration left in force: the whole catalog with its rules. The nodes of a server follow the latest row.
-- migration: the last one begun by then, 0 for none. As text, so that equal catalogs are equal.
create table mbaas.catalogs (
    revision bigint generated always as identity primary key,
    migration bigint not null,
    catalog text not null,
    published_at timestamptz not null default clock_timestamp()
);

create function mbaas.publish_catalog(wanted text) returns void language sql as $$
    with latest as (
        select migration, catalog from mbaas.catalogs order by revision desc limit 1
    ), now as (
        select coalesce(max(id), 0) as migration from mbaas.migrations
    )
    insert into mbaas.catalogs (migration, catalog)
    select now.migration, wanted from now
    where not exists (select from latest where (latest.migration, latest.catalog) = (now.migration, wanted))
$$;

-- After a migration was taken back: what was in force before it, and nothing when it was the first.
create function mbaas.publish_catalog_before(reverted bigint) returns void language sql as $$
    select mbaas.publish_catalog(coalesce(
        (select catalog from mbaas.catalogs where migration < reverted order by revision desc limit 1), '{}'
    ))
$$;

-- As before, and guards that no rule in force needs: each is named after its expression, so an unknown one is a former
-- rule's.
create or replace function mbaas.sweep_rules() returns void language plpgsql as $$
declare
    unused record;
begin
    for unused in
        select oid from pg_proc
        where pronamespace = 'mbaas'::regnamespace and (
            proname like 'rule\_%' and not exists (
                select from pg_depend
                where classid = 'pg_policy'::regclass and refclassid = 'pg_proc'::regclass and refobjid = pg_proc.oid
            )
            or proname like 'guard\_%' and not exists (
                select from mbaas.schema_sources where kind = 'policies' and position(proname in source) > 0
            )
        )
    loop
        execute format('drop function %s', unused.oid::regprocedure);
    end loop;
end
$$;
