-- GET /posts?select=id,comments()&comments=is.null ana
-- $1: 00000000-0000-4000-8000-00000000000a
-- $2: 00000000-0000-4000-8000-00000000000a
select coalesce(json_agg(j), '[]'), count(*), null
from (select r0."id"
from (select *
from "public"."posts" r0
where (r0."published" or (r0."author" = $1::uuid))) r0
where (not exists (select 1
from (select *
from "public"."comments" r1
where ((not r1."private") or (r1."author" = $2::uuid))) r1
where r1."post" = r0."id"))
limit 1000) j
