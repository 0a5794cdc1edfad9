-- GET /posts?select=id,tags(name) ana
-- $1: 00000000-0000-4000-8000-00000000000a
select coalesce(json_agg(j), '[]'), count(*), null
from (select r0."id", coalesce(e1.value, '[]') as "tags"
from (select r0.*
from (select *
from "public"."posts" r0
where (r0."published" or (r0."author" = $1::uuid))) r0
limit 1000) r0
left join lateral (select json_agg(j) as value
from (select r1."name"
from (select *
from "public"."tags" r1) r1
where exists (select 1
from (select *
from "public"."posts_tags" m1
where (not m1."secret")) m1
where m1."post" = r0."id" and m1."tag" = r1."id")
limit 1000) j) e1 on true) j
