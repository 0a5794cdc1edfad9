-- GET /profiles?select=username,phone&phone=eq.1 ana
-- $1: 00000000-0000-4000-8000-00000000000a
-- $2: 1
select coalesce(json_agg(j), '[]'), count(*), null
from (select r0."username", r0."phone"
from (select r0."id", r0."username", case when (r0."id" = $1::uuid) then r0."phone" end as "phone", r0."plan", r0."boss"
from "public"."profiles" r0) r0
where (r0."phone" = $2::text)
limit 1000) j
