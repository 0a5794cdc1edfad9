-- GET /posts?select=id,...post_stats(likes),...comments(body) ana
-- $1: 00000000-0000-4000-8000-00000000000a
-- $2: 00000000-0000-4000-8000-00000000000a
select coalesce(json_agg(j), '[]'), count(*), null
from (select r0."id", e1."likes", e2."body"
from (select r0.*
from (select *
from "public"."posts" r0
where (r0."published" or (r0."author" = $1::uuid))) r0
limit 1000) r0
left join lateral (select r1."likes"
from (select *
from "public"."post_stats" r1) r1
where r1."post" = r0."id"
limit 1) e1 on true
left join lateral (select coalesce(json_agg("j"."body"), '[]') as "body"
from (select r2."body"
from (select *
from "public"."comments" r2
where ((not r2."private") or (r2."author" = $2::uuid))) r2
where r2."post" = r0."id"
limit 1000) j) e2 on true) j
