-- 1. posts: add old  [ACCESS EXCLUSIVE, in a transaction]
alter table public."posts" add column "old" text;

-- 2. posts: bring back the values of old  [none, alone]
--    repeated until nothing is left
select set_config('mbaas.restoring', 'on', true);
with batch as (delete from mbaas_dropped_7.kept where ctid = any (array(select ctid from mbaas_dropped_7.kept limit 5000)) returning *)
update public."posts" as t set "old" = batch.value::text from batch where t."id" = batch.k1::uuid;

-- 3. forget mbaas_dropped_7: all of it is back  [none, in a transaction]
drop schema mbaas_dropped_7 cascade;
update mbaas.dropped set restored_at = now() where number = 7;

-- 4. posts: n from integer to bigint  [ACCESS EXCLUSIVE, in a transaction]
--    HEAVY: writes the whole table anew; until then nobody can read or write it
select mbaas.release_policies('posts', 'n');
alter table public."posts" alter column "n" type bigint using "n"::bigint;

-- 5. posts: bring back the values of n  [none, alone]
--    repeated until nothing is left
select set_config('mbaas.restoring', 'on', true);
with batch as (delete from mbaas_dropped_8.kept where ctid = any (array(select ctid from mbaas_dropped_8.kept limit 5000)) returning *)
update public."posts" as t set "n" = batch.value::bigint from batch where t."id" = batch.k1::uuid and t."n"::text is not distinct from batch.value::integer::bigint::text;

-- 6. forget mbaas_dropped_8: all of it is back  [none, in a transaction]
drop schema mbaas_dropped_8 cascade;
update mbaas.dropped set restored_at = now() where number = 8;

-- 7. posts: check posts_old_required of new rows  [ACCESS EXCLUSIVE, in a transaction]
alter table public."posts" drop constraint if exists "posts_old_required", add constraint "posts_old_required" check ("old" is not null) not valid;

-- 8. posts: check posts_old_required of all rows  [SHARE UPDATE EXCLUSIVE, alone]
alter table public."posts" validate constraint "posts_old_required";

-- 9. posts: old must have a value  [ACCESS EXCLUSIVE, in a transaction]
alter table public."posts" alter column "old" set not null;
alter table public."posts" drop constraint "posts_old_required";

