-- GET /posts?select=id,title&id=eq.10000000-0000-4000-8000-000000000001 ana
-- $1: 00000000-0000-4000-8000-00000000000a
-- $2: 10000000-0000-4000-8000-000000000001
select coalesce(json_agg(j), '[]'), count(*), null
from (select r0."id", r0."title"
from (select *
from "public"."posts" r0
where (r0."published" or (r0."author" = $1::uuid))) r0
where (r0."id" = $2::uuid)
limit 1000) j
