-- GET /posts?select=id&views=gte.5&order=created_at.desc&limit=30&offset=60 ana {'prefer': 'count=exact'}
-- $1: 00000000-0000-4000-8000-00000000000a
-- $2: 5
-- $3: 00000000-0000-4000-8000-00000000000a
-- $4: 5
-- $5: 60
select coalesce(json_agg(j), '[]'), count(*), (select count(*)
from (select *
from "public"."posts" r0
where (r0."published" or (r0."author" = $1::uuid))) r0
where (r0."views" >= $2::integer))
from (select r0."id"
from (select *
from "public"."posts" r0
where (r0."published" or (r0."author" = $3::uuid))) r0
where (r0."views" >= $4::integer)
order by r0."created_at" desc
limit 30 offset $5::bigint) j
