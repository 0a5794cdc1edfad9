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

insert into public.posts (id, author, title, body, tags, published, created_at, updated_at)
select md5('post' || n)::uuid, md5('author' || n % :authors)::uuid, 'Note ' || n, :'body',
       array['tag' || n % 50, 'tag' || 50 + n % 7], n / :authors % 10 <> 0, to_timestamp(:began + n), to_timestamp(:began + n)
from generate_series(0, :rows - 1) n;

insert into public.private_posts select * from public.posts;
commit;
vacuum (analyze) public.posts, public.private_posts, auth.users, auth.identities;
