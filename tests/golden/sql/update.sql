-- PATCH /profiles?id=eq.00000000-0000-4000-8000-00000000000a {'body': '{"username":"x"}'}
-- $1: {"username":"x"}
-- $2: 00000000-0000-4000-8000-00000000000a
-- $3: 00000000-0000-4000-8000-00000000000a
with written as (update "public"."profiles" r0
set "username" = "p"."username"
from json_to_record($1::json) as p("username" text)
where (r0."id" = $2::uuid) and (r0."id" = $3::uuid)
returning (false) as "#inserted") select null, null, w.n, w.inserted
from (select count(*) as n, count(*) filter (where w."#inserted") as inserted
from written w) w
