\set author random(0, :authors - 1)
select coalesce(json_agg(j), '[]'),
       (select count(*) from posts where author = md5('author' || :author)::uuid and published)
from (
  select * from posts where author = md5('author' || :author)::uuid and published order by created_at desc limit 30
) j;
