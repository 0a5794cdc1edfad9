-- GET /posts?select=id,comments!inner(body)&comments.body=like.a* ana
-- $1: 00000000-0000-4000-8000-00000000000a
-- $2: 00000000-0000-4000-8000-00000000000a
-- $3: a%
-- $4: 00000000-0000-4000-8000-00000000000a
-- $5: a%
select coalesce(json_agg(j), '[]'), count(*), null
from (select r0."id", coalesce(e1.value, '[]') as "comments"
from (select r0.*
from (select *
from "public"."posts" r0
where (r0."published" or (r0."author" = $1::uuid))) r0
where exists (select 1
from (select *
from "public"."comments" r1
where ((not r1."private") or (r1."author" = $2::uuid))) r1
where r1."post" = r0."id" and (r1."body" like $3::text))
limit 1000) r0
left join lateral (select json_agg(j) as value
from (select r1."body"
from (select *
from "public"."comments" r1
where ((not r1."private") or (r1."author" = $4::uuid))) r1
where r1."post" = r0."id" and (r1."body" like $5::text)
limit 1000) j) e1 on true) j
