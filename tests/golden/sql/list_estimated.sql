-- GET /tags?limit=10 anon {'prefer': 'count=estimated'}
select coalesce(json_agg(j), '[]'), count(*), (select count(*)
from (select 1
from (select *
from "public"."tags" r0) r0
limit 10001) c)
from (select r0."id", r0."name"
from (select *
from "public"."tags" r0) r0
limit 10) j
