-- POST /posts?on_conflict=slug&select=id {'body': '{"slug":"a","title":"x"}', 'prefer': 'resolution=merge-duplicates,return=representation'}
-- $1: 00000000-0000-4000-8000-00000000000a
-- $2: [{"slug":"a","title":"x"}]
-- $3: 00000000-0000-4000-8000-00000000000a
-- $4: 00000000-0000-4000-8000-00000000000a
-- $5: 00000000-0000-4000-8000-00000000000a
-- $6: 00000000-0000-4000-8000-00000000000a
-- $7: 00000000-0000-4000-8000-00000000000a
with written as (insert into "public"."posts" as r0 ("slug", "title", "id", "author", "editor", "body", "views", "rating", "tags", "meta", "period", "published", "created_at", "updated_at") select "i"."slug", "i"."title", "i"."id", "i"."author", "i"."editor", "i"."body", "i"."views", "i"."rating", "i"."tags", "i"."meta", "i"."period", "i"."published", "i"."created_at", "i"."updated_at"
from (select i0.*, (upper(title)) as "loud"
from (select "p"."slug" as "slug", "p"."title" as "title", (gen_random_uuid())::uuid as "id", $1::uuid as "author", (null)::uuid as "editor", (null)::text as "body", (0)::integer as "views", (null)::numeric(4,2) as "rating", ('{}')::text[] as "tags", ('{}')::jsonb as "meta", (null)::daterange as "period", (false)::boolean as "published", (now())::timestamp with time zone as "created_at", (now())::timestamp with time zone as "updated_at"
from json_to_recordset($2::json) as p("slug" text, "title" text) offset 0) i0) i
where case when ((i."author" = $3::uuid) and (coalesce(i."loud", '') <> 'FORBIDDEN') and (i."published" or (i."author" = $4::uuid))) then true else mbaas.refuse('posts') end
on conflict ("slug") do update
set "title" = "excluded"."title"
where case when ((r0."published" or (r0."author" = $5::uuid)) and (r0."author" = $6::uuid) and (coalesce(r0."loud", '') <> 'FORBIDDEN')) and (select (coalesce(n."loud", '') <> 'FORBIDDEN')
from (select n0.*, (upper(title)) as "loud"
from (select r0."id" as "id", r0."author" as "author", r0."editor" as "editor", "excluded"."title" as "title", r0."slug" as "slug", r0."body" as "body", r0."views" as "views", r0."rating" as "rating", r0."tags" as "tags", r0."meta" as "meta", r0."period" as "period", r0."published" as "published", r0."created_at" as "created_at", now() as "updated_at") n0) n) then true else mbaas.refuse('posts') end
returning r0.*, (r0.xmax = 0) as "#inserted") select b.body, b.n, w.n, w.inserted
from (select count(*) as n, count(*) filter (where w."#inserted") as inserted
from written w) w, (select coalesce(json_agg(j), '[]') as body, count(*) as n
from (select r0."id"
from (select *
from written r0
where (r0."published" or (r0."author" = $7::uuid))) r0) j) b
