-- PATCH /posts?id=eq.10000000-0000-4000-8000-000000000001&select=id {'body': '{"author":"x","id":"y"}', 'prefer': 'return=representation'}
-- $1: 00000000-0000-4000-8000-00000000000a
-- $2: 00000000-0000-4000-8000-00000000000a
-- $3: {"author":"x","id":"y"}
-- $4: 00000000-0000-4000-8000-00000000000a
-- $5: 00000000-0000-4000-8000-00000000000a
-- $6: 10000000-0000-4000-8000-000000000001
-- $7: 00000000-0000-4000-8000-00000000000a
with written as (update "public"."posts" r0
set "author" = case when case when (select ((n."author" = $1::uuid) and (coalesce(n."loud", '') <> 'FORBIDDEN') and (n."published" or (n."author" = $2::uuid)))
from (select n0.*, (upper(title)) as "loud"
from (select r0."id" as "id", "p"."author" as "author", r0."editor" as "editor", r0."title" as "title", r0."slug" as "slug", r0."body" as "body", r0."views" as "views", r0."rating" as "rating", r0."tags" as "tags", r0."meta" as "meta", r0."period" as "period", r0."published" as "published", r0."created_at" as "created_at", now() as "updated_at") n0) n) then true else mbaas.refuse('posts') end and case when "p"."id" is not distinct
from r0."id" then true else mbaas.keep('id') end then "p"."author" end
from json_to_record($3::json) as p("author" uuid, "id" uuid)
where ((r0."published" or (r0."author" = $4::uuid)) and (r0."author" = $5::uuid) and (coalesce(r0."loud", '') <> 'FORBIDDEN')) and (r0."id" = $6::uuid)
returning r0.*, (false) as "#inserted") select b.body, b.n, w.n, w.inserted
from (select count(*) as n, count(*) filter (where w."#inserted") as inserted
from written w) w, (select coalesce(json_agg(j), '[]') as body, count(*) as n
from (select r0."id"
from (select *
from written r0
where (r0."published" or (r0."author" = $7::uuid))) r0) j) b
