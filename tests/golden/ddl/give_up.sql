-- 1. posts: drop constraint posts_author_fkey  [ACCESS EXCLUSIVE, in a transaction]
alter table public."posts" drop constraint if exists "posts_author_fkey";

-- 2. likes: drop constraint likes_post_fkey  [ACCESS EXCLUSIVE, in a transaction]
alter table public."likes" drop constraint if exists "likes_post_fkey";

-- 3. likes: drop constraint likes_user_fkey  [ACCESS EXCLUSIVE, in a transaction]
alter table public."likes" drop constraint if exists "likes_user_fkey";

-- 4. drop table authors  [ACCESS EXCLUSIVE, in a transaction]
--    DESTRUCTIVE: authors and its rows leave the API; they are put aside in mbaas_dropped_7
create schema mbaas_dropped_7;
alter table public."authors" set schema mbaas_dropped_7;
insert into mbaas.dropped (number, kind, collection, field, key, narrowed, complete) values (7, 'table', 'authors', '', '[]'::jsonb, null, true);

-- 5. drop table posts  [ACCESS EXCLUSIVE, in a transaction]
--    DESTRUCTIVE: posts and its rows leave the API; they are put aside in mbaas_dropped_8
create schema mbaas_dropped_8;
alter table public."posts" set schema mbaas_dropped_8;
insert into mbaas.dropped (number, kind, collection, field, key, narrowed, complete) values (8, 'table', 'posts', '', '[]'::jsonb, null, true);

-- 6. drop table likes  [ACCESS EXCLUSIVE, in a transaction]
--    DESTRUCTIVE: likes and its rows leave the API; they are put aside in mbaas_dropped_9
create schema mbaas_dropped_9;
alter table public."likes" set schema mbaas_dropped_9;
insert into mbaas.dropped (number, kind, collection, field, key, narrowed, complete) values (9, 'table', 'likes', '', '[]'::jsonb, null, true);

