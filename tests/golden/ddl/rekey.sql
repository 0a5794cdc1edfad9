-- 1. posts: id without default  [ACCESS EXCLUSIVE, in a transaction]
alter table public."posts" alter column "id" drop default;

-- 2. posts: check posts_slug_required of new rows  [ACCESS EXCLUSIVE, in a transaction]
alter table public."posts" drop constraint if exists "posts_slug_required", add constraint "posts_slug_required" check ("slug" is not null) not valid;

-- 3. posts: check posts_slug_required of all rows  [SHARE UPDATE EXCLUSIVE, alone]
alter table public."posts" validate constraint "posts_slug_required";

-- 4. posts: slug must have a value  [ACCESS EXCLUSIVE, in a transaction]
alter table public."posts" alter column "slug" set not null;
alter table public."posts" drop constraint "posts_slug_required";

-- 5. posts: build index posts_pkey_new  [SHARE UPDATE EXCLUSIVE, alone]
drop index concurrently if exists public."posts_pkey_new";
create unique index concurrently "posts_pkey_new" on public."posts" using btree ("slug");

-- 6. posts: key slug  [ACCESS EXCLUSIVE, in a transaction]
alter table public."posts" drop constraint if exists "posts_pkey", add constraint "posts_pkey" primary key using index "posts_pkey_new";

-- 7. posts: id may be null  [ACCESS EXCLUSIVE, in a transaction]
alter table public."posts" alter column "id" drop not null;

