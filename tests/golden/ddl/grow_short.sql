-- 1. rename table authors to people  [ACCESS EXCLUSIVE, in a transaction]
alter table public."authors" rename to "people";

-- 2. posts: rename title to headline  [ACCESS EXCLUSIVE, in a transaction]
alter table public."posts" rename column "title" to "headline";

-- 3. people: drop constraint authors_name_key  [ACCESS EXCLUSIVE, in a transaction]
alter table public."people" drop constraint if exists "authors_name_key";

-- 4. people: rename constraint authors_pkey to people_pkey  [ACCESS EXCLUSIVE, in a transaction]
alter table public."people" rename constraint "authors_pkey" to "people_pkey";

-- 5. posts: add rank  [ACCESS EXCLUSIVE, in a transaction]
alter table public."posts" add column "rank" double precision default (random()) not null;

-- 6. posts: n from integer to bigint  [ACCESS EXCLUSIVE, in a transaction]
select mbaas.release_policies('posts', 'n');
alter table public."posts" alter column "n" drop default, alter column "n" type bigint using "n"::bigint, alter column "n" set default (1);

-- 7. posts: headline must have a value  [ACCESS EXCLUSIVE, in a transaction]
alter table public."posts" alter column "headline" set not null;

-- 8. posts: headline unique  [ACCESS EXCLUSIVE, in a transaction]
alter table public."posts" add constraint "posts_headline_key" unique ("headline");

-- 9. posts: check posts_headline_check  [ACCESS EXCLUSIVE, in a transaction]
alter table public."posts" add constraint "posts_headline_check" check (char_length("headline") <= 80);

-- 10. posts: check posts_n_check  [ACCESS EXCLUSIVE, in a transaction]
alter table public."posts" add constraint "posts_n_check" check ("n" >= '0'::bigint);

-- 11. posts: index posts_rank_idx  [SHARE, in a transaction]
create index "posts_rank_idx" on public."posts" using btree ("rank" desc);

-- 12. posts: author refers to people  [SHARE ROW EXCLUSIVE, in a transaction]
alter table public."posts" add constraint "posts_author_fkey" foreign key ("author") references public."people" ("id") on delete set null;

-- 13. posts: drop old  [ACCESS EXCLUSIVE, in a transaction]
--    DESTRUCTIVE: posts.old and its values leave the API; they are put aside in mbaas_dropped_7
lock table public."posts" in access exclusive mode;
create schema mbaas_dropped_7;
create table mbaas_dropped_7.kept as select "id" as k1, "old" as value from public."posts";
insert into mbaas.dropped (number, kind, collection, field, key, narrowed, complete) values (7, 'column', 'posts', 'old', '[["id","uuid"]]'::jsonb, null, true);
select mbaas.release_policies('posts', 'old');
alter table public."posts" drop column "old";

