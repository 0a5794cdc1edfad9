-- GET /posts?select=id,title anon
-- $1: None
select coalesce(json_agg(j), '[]'), count(*), null
from (select r0."id", r0."title"
from (select *
from "public"."posts" r0
where (r0."published" or (r0."author" = $1::uuid))) r0
limit 1000) j
