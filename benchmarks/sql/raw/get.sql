\set post random(0, :rows - 1)
select coalesce(json_agg(j), '[]') from (select * from posts where id = md5('post' || :post)::uuid) j;
