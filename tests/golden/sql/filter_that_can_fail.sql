-- GET /posts?select=id&title=match.x&views=eq.1 ana
-- $1: 00000000-0000-4000-8000-00000000000a
-- $2: 1
-- $3: x
select coalesce(json_agg(j), '[]'), count(*), null
from (select r0."id"
from (select r0.*
from (select *
from "public"."posts" r0
where (r0."published" or (r0."author" = $1::uuid))) r0
where (r0."views" = $2::integer) offset 0) r0
where (r0."title" ~ $3::text)
limit 1000) j
