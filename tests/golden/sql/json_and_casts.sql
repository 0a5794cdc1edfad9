-- GET /posts?select=k:meta->a->>b,views::text&meta->k=gt.1&tags=cs.{a} ana
-- $1: 00000000-0000-4000-8000-00000000000a
-- $2: 1
-- $3: ('a',)
select coalesce(json_agg(j), '[]'), count(*), null
from (select ((r0."meta" -> 'a') ->> 'b') as "k", (r0."views")::text as "views"
from (select *
from "public"."posts" r0
where (r0."published" or (r0."author" = $1::uuid))) r0
where ((r0."meta" -> 'k') > $2::jsonb) and (r0."tags" @> $3::text[])
limit 1000) j
