-- GET /posts?select=published,...post_stats(likes.sum()),count() ana
-- $1: 00000000-0000-4000-8000-00000000000a
select coalesce(json_agg(j), '[]'), count(*), null
from (select r0."published", sum(e1."sum") as "sum", count(*) as "count"
from (select *
from "public"."posts" r0
where (r0."published" or (r0."author" = $1::uuid))) r0
left join lateral (select r1."likes" as "sum"
from (select *
from "public"."post_stats" r1) r1
where r1."post" = r0."id"
limit 1) e1 on true
group by 1
limit 1000) j
