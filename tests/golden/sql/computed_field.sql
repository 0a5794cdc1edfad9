-- GET /posts?select=byline,shout&byline=eq.x&order=shout ana
-- $1: {"sub":"00000000-0000-4000-8000-00000000000a","role":"authenticated"}
-- $2: 00000000-0000-4000-8000-00000000000a
-- $3: {"sub":"00000000-0000-4000-8000-00000000000a","role":"authenticated"}
-- $4: x
select coalesce(json_agg(j), '[]'), count(*), null
from (select case when mbaas.enter('authenticated', $1::jsonb) then mbaas.leave("public"."byline"(row(r0."id", r0."author", r0."editor", r0."title", r0."slug", r0."body", r0."views", r0."rating", r0."tags", r0."meta", r0."period", r0."published", r0."loud", r0."created_at", r0."updated_at")::"public"."posts")) end as "byline", "public"."shout"(row(r0."id", r0."author", r0."editor", r0."title", r0."slug", r0."body", r0."views", r0."rating", r0."tags", r0."meta", r0."period", r0."published", r0."loud", r0."created_at", r0."updated_at")::"public"."posts") as "shout"
from (select r0.*
from (select *
from "public"."posts" r0
where (r0."published" or (r0."author" = $2::uuid))) r0 offset 0) r0
where (case when mbaas.enter('authenticated', $3::jsonb) then mbaas.leave("public"."byline"(row(r0."id", r0."author", r0."editor", r0."title", r0."slug", r0."body", r0."views", r0."rating", r0."tags", r0."meta", r0."period", r0."published", r0."loud", r0."created_at", r0."updated_at")::"public"."posts")) end = $4::text)
order by "public"."shout"(row(r0."id", r0."author", r0."editor", r0."title", r0."slug", r0."body", r0."views", r0."rating", r0."tags", r0."meta", r0."period", r0."published", r0."loud", r0."created_at", r0."updated_at")::"public"."posts")
limit 1000) j
