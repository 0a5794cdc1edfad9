-- DELETE /posts?id=eq.10000000-0000-4000-8000-000000000001&title=match.x
-- $1: 00000000-0000-4000-8000-00000000000a
-- $2: 00000000-0000-4000-8000-00000000000a
-- $3: 10000000-0000-4000-8000-000000000001
-- $4: 00000000-0000-4000-8000-00000000000a
-- $5: 00000000-0000-4000-8000-00000000000a
-- $6: x
with written as (delete
from "public"."posts" r0
where ((r0."published" or (r0."author" = $1::uuid)) and (r0."author" = $2::uuid)) and (r0."id" = $3::uuid) and case when ((r0."published" or (r0."author" = $4::uuid)) and (r0."author" = $5::uuid)) then (r0."title" ~ $6::text) else false end
returning (false) as "#inserted") select null, null, w.n, w.inserted
from (select count(*) as n, count(*) filter (where w."#inserted") as inserted
from written w) w
