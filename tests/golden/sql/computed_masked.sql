-- GET /profiles?select=contact ana
-- $1: {"sub":"00000000-0000-4000-8000-00000000000a","role":"authenticated"}
-- $2: 00000000-0000-4000-8000-00000000000a
select coalesce(json_agg(j), '[]'), count(*), null
from (select case when mbaas.enter('authenticated', $1::jsonb) then mbaas.leave("public"."contact"(row(r0."id", r0."username", r0."phone", r0."plan", null, r0."boss")::"public"."profiles")) end as "contact"
from (select r0."id", r0."username", case when (r0."id" = $2::uuid) then r0."phone" end as "phone", r0."plan", r0."boss"
from "public"."profiles" r0) r0
limit 1000) j
