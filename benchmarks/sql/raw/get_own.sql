\set post random(0, :rows - 1)
\set author :post % :authors
select coalesce(json_agg(j), '[]')
from (select * from private_posts where id = md5('post' || :post)::uuid and author = md5('author' || :author)::uuid) j;
