-- PATCH /tags?id=eq.10000000-0000-4000-8000-000000000001&select=id service {'body': '{"name":"x"}', 'prefer': 'handling=strict,max-affected=3', 'accept': 'application/vnd.pgrst.object'}
-- $1: {"name":"x"}
-- $2: 10000000-0000-4000-8000-000000000001
with written as (update "public"."tags" r0
set "name" = "p"."name"
from json_to_record($1::json) as p("name" text)
where (r0."id" = $2::integer)
returning (false) as "#inserted") select null, null, w.n, w.inserted, case when w.n <> 1 then mbaas.halt('singular', w.n) end, case when w.n > 3 then mbaas.halt('affected', w.n) end
from (select count(*) as n, count(*) filter (where w."#inserted") as inserted
from written w) w
