-- POST /tags?on_conflict=name service {'body': '{"id":1,"name":"x"}', 'prefer': 'resolution=ignore-duplicates'}
-- $1: [{"id":1,"name":"x"}]
with written as (insert into "public"."tags" as r0 ("id", "name") select "i"."id", "i"."name"
from (select "p"."id" as "id", "p"."name" as "name"
from json_to_recordset($1::json) as p("id" integer, "name" text)) i
on conflict ("name") do nothing
returning (r0.xmax = 0) as "#inserted") select null, null, w.n, w.inserted
from (select count(*) as n, count(*) filter (where w."#inserted") as inserted
from written w) w
