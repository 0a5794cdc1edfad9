-- GET /posts?select=id&or=(views.gt.5,not.and(title.like.*z*,slug.is.null))&id=in.(1,2) ana
-- $1: 00000000-0000-4000-8000-00000000000a
-- $2: 5
-- $3: %z%
-- $4: ('1', '2')
select coalesce(json_agg(j), '[]'), count(*), null
from (select r0."id"
from (select *
from "public"."posts" r0
where (r0."published" or (r0."author" = $1::uuid))) r0
where ((r0."views" > $2::integer) or (not ((r0."title" like $3::text) and (r0."slug" is null)))) and (r0."id" = any ($4::uuid[]))
limit 1000) j
