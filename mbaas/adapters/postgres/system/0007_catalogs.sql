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
