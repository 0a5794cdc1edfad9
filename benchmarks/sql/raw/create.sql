\set author random(0, :authors - 1)
with written as (
  insert into private_posts (author, title, body, tags, published)
  values (md5('author' || :author)::uuid, 'Note ' || :author, :body, array['tag1', 'tag51'], true)
  returning *
)
select json_agg(written) from written;
