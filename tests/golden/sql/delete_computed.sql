-- DELETE /posts?byline=eq.x
-- $1: 00000000-0000-4000-8000-00000000000a
-- $2: 00000000-0000-4000-8000-00000000000a
-- $3: 00000000-0000-4000-8000-00000000000a
-- $4: 00000000-0000-4000-8000-00000000000a
-- $5: {"sub":"00000000-0000-4000-8000-00000000000a","role":"authenticated"}
-- $6: x
with written as (delete
from "public"."posts" r0
where ((r0."published" or (r0."author" = $1::uuid)) and (r0."author" = $2::uuid)) and case when ((r0."published" or (r0."author" = $3::uuid)) and (r0."author" = $4::uuid)) then (case when mbaas.enter('authenticated', $5::jsonb) then mbaas.leave("public"."byline"(row(r0."id", r0."author", r0."editor", r0."title", r0."slug", r0."body", r0."views", r0."rating", r0."tags", r0."meta", r0."period", r0."published", r0."loud", r0."created_at", r0."updated_at")::"public"."posts")) end = $6::text) else false end
returning (false) as "#inserted") select null, null, w.n, w.inserted
from (select count(*) as n, count(*) filter (where w."#inserted") as inserted
from written w) w
