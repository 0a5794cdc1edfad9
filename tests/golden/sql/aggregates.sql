-- GET /posts?select=published,count(),views.sum()&order=published ana
-- $1: 00000000-0000-4000-8000-00000000000a
select coalesce(json_agg(j), '[]'), count(*), null
from (select r0."published", count(*) as "count", sum(r0."views") as "sum"
from (select *
from "public"."posts" r0
where (r0."published" or (r0."author" = $1::uuid))) r0
group by 1
order by 1
limit 1000) j
