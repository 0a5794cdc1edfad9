-- GET /posts?select=replies(body)&replies=not.is.null ana
-- $1: 00000000-0000-4000-8000-00000000000a
-- $2: {"sub":"00000000-0000-4000-8000-00000000000a","role":"authenticated"}
-- $3: {"sub":"00000000-0000-4000-8000-00000000000a","role":"authenticated"}
select coalesce(json_agg(j), '[]'), count(*), null
from (select coalesce(e1.value, '[]') as "replies"
from (select r0.*
from (select r0.*
from (select *
from "public"."posts" r0
where (r0."published" or (r0."author" = $1::uuid))) r0 offset 0) r0
where exists (select 1
from (select *
from json_populate_recordset(null::"public"."comments", case when mbaas.enter('authenticated', $2::jsonb) then mbaas.leave((select json_agg(f.v)
from (select "public"."replies"(row(r0."id", r0."author", r0."editor", r0."title", r0."slug", r0."body", r0."views", r0."rating", r0."tags", r0."meta", r0."period", r0."published", r0."loud", r0."created_at", r0."updated_at")::"public"."posts") as v offset 0) f
where not (f.v is null))) end) r1) r1)
limit 1000) r0
left join lateral (select json_agg(j) as value
from (select r1."body"
from (select *
from json_populate_recordset(null::"public"."comments", case when mbaas.enter('authenticated', $3::jsonb) then mbaas.leave((select json_agg(f.v)
from (select "public"."replies"(row(r0."id", r0."author", r0."editor", r0."title", r0."slug", r0."body", r0."views", r0."rating", r0."tags", r0."meta", r0."period", r0."published", r0."loud", r0."created_at", r0."updated_at")::"public"."posts") as v offset 0) f
where not (f.v is null))) end) r1) r1
limit 1000) j) e1 on true) j
