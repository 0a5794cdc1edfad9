-- GET /posts?select=id,comments(count) anon
-- $1: None
-- $2: None
select coalesce(json_agg(j), '[]'), count(*), null
from (select r0."id", coalesce(e1.value, '[]') as "comments"
from (select r0.*
from (select *
from "public"."posts" r0
where (r0."published" or (r0."author" = $1::uuid))) r0
limit 1000) r0
left join lateral (select json_agg(j) as value
from (select count(*) as "count"
from (select *
from "public"."comments" r1
where ((not r1."private") or (r1."author" = $2::uuid))) r1
where r1."post" = r0."id"
limit 1000) j) e1 on true) j
