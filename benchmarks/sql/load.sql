-- The rows of data.py in our PostgreSQL. One user has signed up; every author is a copy of that account.
-- psql variables: rows, authors, body, began.
\set ON_ERROR_STOP on
\set QUIET on

begin;
insert into auth.users
  (id, email, encrypted_password, email_confirmed_at, raw_app_meta_data, raw_user_meta_data, created_at, updated_at)
select md5('author' || n)::uuid, 'author' || n || '@example.com', encrypted_password, email_confirmed_at,
       raw_app_meta_data, raw_user_meta_data, created_at, updated_at
from auth.users, generate_series(0, :authors - 1) n;

insert into auth.identities (id, provider_id, user_id, identity_data, provider, created_at, updated_at)
select gen_random_uuid(), id, id, jsonb_build_object('sub', id, 'email', email), 'email', created_at, updated_at
from auth.users where email like 'author%';

-- Keys and indexes are made again once the rows are there: kept up row by row they were most of the loading.
create temp table made on commit drop as
select 'alter table ' || conrelid::regclass || ' drop constraint ' || quote_ident(conname) as drop_it,
       'alter table ' || conrelid::regclass || ' add constraint ' || quote_ident(conname) || ' ' || pg_get_constraintdef(oid)
         as make_it,
       contype = 'f' as refers
from pg_constraint
where conrelid in ('public.posts'::regclass, 'public.private_posts'::regclass) and contype in ('p', 'f', 'u')
union all
select 'drop index ' || indexrelid::regclass, pg_get_indexdef(indexrelid), false
from pg_index
where indrelid in ('public.posts'::regclass, 'public.private_posts'::regclass)
  and not exists (select from pg_constraint where conindid = indexrelid);

select drop_it from made order by refers desc \gexec

insert into public.posts (id, author, title, body, tags, published, created_at, updated_at)
select md5('post' || n)::uuid, md5('author' || n % :authors)::uuid, 'Note ' || n, :'body',
       array['tag' || n % 50, 'tag' || 50 + n % 7], n / :authors % 10 <> 0, to_timestamp(:began + n), to_timestamp(:began + n)
from generate_series(0, :rows - 1) n;

insert into public.private_posts select * from public.posts;

set local maintenance_work_mem = '512MB';
select make_it from made order by refers \gexec
commit;
vacuum (analyze) public.posts, public.private_posts, auth.users, auth.identities;
