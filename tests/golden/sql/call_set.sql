-- POST /rpc/post_titles?title=eq.x&order=views {'prefer': 'count=exact'}
-- $1: x
-- $2: x
with called as materialized (select *
from (select f.*
from (select) p cross join lateral "public"."post_titles"() f) f) select coalesce(json_agg(j), '[]'), count(*), (select count(*)
from called r0
where (r0."title" = $1::text))
from (select r0."title", r0."views"
from called r0
where (r0."title" = $2::text)
order by r0."views"
limit 1000) j
