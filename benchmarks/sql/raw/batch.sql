\set author random(0, :authors - 1)
with written as (
  insert into private_posts (author, title, body, tags, published)
  select md5('author' || :author)::uuid, 'Note ' || n, :body, array['tag1', 'tag51'], true
  from generate_series(1, 1000) n
  returning *
)
select json_agg(written) from written;
