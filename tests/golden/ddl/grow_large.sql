-- 1. rename table authors to people  [ACCESS EXCLUSIVE, in a transaction]
alter table public."authors" rename to "people";

-- 2. posts: rename title to headline  [ACCESS EXCLUSIVE, in a transaction]
alter table public."posts" rename column "title" to "headline";

-- 3. people: drop constraint authors_name_key  [ACCESS EXCLUSIVE, in a transaction]
alter table public."people" drop constraint if exists "authors_name_key";

-- 4. people: rename constraint authors_pkey to people_pkey  [ACCESS EXCLUSIVE, in a transaction]
alter table public."people" rename constraint "authors_pkey" to "people_pkey";

-- 5. posts: add rank  [ACCESS EXCLUSIVE, in a transaction]
--    HEAVY: writes the whole table anew; until then nobody can read or write it
alter table public."posts" add column "rank" double precision default (random()) not null;

-- 6. posts: n from integer to bigint  [ACCESS EXCLUSIVE, in a transaction]
--    HEAVY: writes the whole table anew; until then nobody can read or write it
select mbaas.release_policies('posts', 'n');
alter table public."posts" alter column "n" drop default, alter column "n" type bigint using "n"::bigint, alter column "n" set default (1);

-- 7. posts: check posts_headline_required of new rows  [ACCESS EXCLUSIVE, in a transaction]
alter table public."posts" drop constraint if exists "posts_headline_required", add constraint "posts_headline_required" check ("headline" is not null) not valid;

-- 8. posts: check posts_headline_required of all rows  [SHARE UPDATE EXCLUSIVE, alone]
alter table public."posts" validate constraint "posts_headline_required";

-- 9. posts: headline must have a value  [ACCESS EXCLUSIVE, in a transaction]
alter table public."posts" alter column "headline" set not null;
alter table public."posts" drop constraint "posts_headline_required";

-- 10. posts: build index posts_headline_key  [SHARE UPDATE EXCLUSIVE, alone]
drop index concurrently if exists public."posts_headline_key";
create unique index concurrently "posts_headline_key" on public."posts" using btree ("headline");

-- 11. posts: headline unique  [ACCESS EXCLUSIVE, in a transaction]
alter table public."posts" add constraint "posts_headline_key" unique using index "posts_headline_key";

-- 12. posts: check posts_headline_check of new rows  [ACCESS EXCLUSIVE, in a transaction]
alter table public."posts" add constraint "posts_headline_check" check (char_length("headline") <= 80) not valid;

-- 13. posts: check posts_headline_check of all rows  [SHARE UPDATE EXCLUSIVE, alone]
alter table public."posts" validate constraint "posts_headline_check";

-- 14. posts: check posts_n_check of new rows  [ACCESS EXCLUSIVE, in a transaction]
alter table public."posts" add constraint "posts_n_check" check ("n" >= '0'::bigint) not valid;

-- 15. posts: check posts_n_check of all rows  [SHARE UPDATE EXCLUSIVE, alone]
alter table public."posts" validate constraint "posts_n_check";

-- 16. posts: build index posts_rank_idx  [SHARE UPDATE EXCLUSIVE, alone]
drop index concurrently if exists public."posts_rank_idx";
create index concurrently "posts_rank_idx" on public."posts" using btree ("rank" desc);

-- 17. posts: author refers to people, new rows  [SHARE ROW EXCLUSIVE, in a transaction]
alter table public."posts" add constraint "posts_author_fkey" foreign key ("author") references public."people" ("id") on delete set null not valid;

-- 18. posts: check posts_author_fkey of all rows  [SHARE UPDATE EXCLUSIVE, alone]
alter table public."posts" validate constraint "posts_author_fkey";

-- 19. posts: begin to keep old  [SHARE ROW EXCLUSIVE, in a transaction]
create schema mbaas_dropped_7;
create table mbaas_dropped_7.kept as select "id" as k1, "old" as value from public."posts" with no data;
alter table mbaas_dropped_7.kept add primary key (k1);
create trigger mbaas_keep_7 after insert or update on public."posts" for each row execute function mbaas.keep('mbaas_dropped_7', 'old', 'id');
insert into mbaas.dropped (number, kind, collection, field, key, narrowed, complete) values (7, 'column', 'posts', 'old', '[["id","uuid"]]'::jsonb, null, false);

-- 20. posts: keep old  [none, alone]
insert into mbaas_dropped_7.kept select "id" as k1, "old" as value from public."posts" on conflict do nothing;

-- 21. posts: drop old  [ACCESS EXCLUSIVE, in a transaction]
--    DESTRUCTIVE: posts.old and its values leave the API; they are put aside in mbaas_dropped_7
drop trigger mbaas_keep_7 on public."posts";
update mbaas.dropped set complete = true where number = 7;
select mbaas.release_policies('posts', 'old');
alter table public."posts" drop column "old";

