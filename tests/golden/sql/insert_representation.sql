-- POST /posts?select=id,author(username) {'body': '[{"title":"x"}]', 'prefer': 'return=representation'}
-- $1: 00000000-0000-4000-8000-00000000000a
-- $2: [{"title":"x"}]
-- $3: 00000000-0000-4000-8000-00000000000a
-- $4: 00000000-0000-4000-8000-00000000000a
-- $5: 00000000-0000-4000-8000-00000000000a
-- $6: 00000000-0000-4000-8000-00000000000a
with written as (insert into "public"."posts" as r0 ("title", "id", "author", "editor", "slug", "body", "views", "rating", "tags", "meta", "period", "published", "created_at", "updated_at") select "i"."title", "i"."id", "i"."author", "i"."editor", "i"."slug", "i"."body", "i"."views", "i"."rating", "i"."tags", "i"."meta", "i"."period", "i"."published", "i"."created_at", "i"."updated_at"
from (select i0.*, (upper(title)) as "loud"
from (select "p"."title" as "title", (gen_random_uuid())::uuid as "id", $1::uuid as "author", (null)::uuid as "editor", (null)::text as "slug", (null)::text as "body", (0)::integer as "views", (null)::numeric(4,2) as "rating", ('{}')::text[] as "tags", ('{}')::jsonb as "meta", (null)::daterange as "period", (false)::boolean as "published", (now())::timestamp with time zone as "created_at", (now())::timestamp with time zone as "updated_at"
from json_to_recordset($2::json) as p("title" text) offset 0) i0) i
where case when ((i."author" = $3::uuid) and (coalesce(i."loud", '') <> 'FORBIDDEN') and (i."published" or (i."author" = $4::uuid))) then true else mbaas.refuse('posts') end
returning r0.*, (r0.xmax = 0) as "#inserted") select b.body, b.n, w.n, w.inserted
from (select count(*) as n, count(*) filter (where w."#inserted") as inserted
from written w) w, (select coalesce(json_agg(j), '[]') as body, count(*) as n
from (select r0."id", e1.value as "author"
from (select r0.*
from (select *
from written r0
where (r0."published" or (r0."author" = $5::uuid))) r0) r0
left join lateral (select row_to_json(j) as value
from (select r1."username"
from (select r1."id", r1."username", case when (r1."id" = $6::uuid) then r1."phone" end as "phone", r1."plan", r1."boss"
from "public"."profiles" r1) r1
where r1."id" = r0."author"
limit 1) j) e1 on true) j) b
