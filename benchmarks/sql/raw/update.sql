\set post random(0, :rows - 1)
\set author :post % :authors
with written as (
  update private_posts set title = 'Note ' || :post || ', changed', updated_at = now()
  where id = md5('post' || :post)::uuid and author = md5('author' || :author)::uuid
  returning *
)
select json_agg(written) from written;
