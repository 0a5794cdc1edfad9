-- GET /diary ana
select coalesce(json_agg(j), '[]'), count(*), null
from (select r0."id", r0."text"
from (select *
from "public"."diary" r0
where false) r0
limit 1000) j
