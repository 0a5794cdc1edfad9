-- GET /posts?select=id,title service
select coalesce(json_agg(j), '[]'), count(*), null
from (select r0."id", r0."title"
from (select *
from "public"."posts" r0) r0
limit 1000) j
