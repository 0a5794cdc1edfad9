-- GET /posts?select=id,author(username)&order=author(username) ana
-- $1: 00000000-0000-4000-8000-00000000000a
-- $2: 00000000-0000-4000-8000-00000000000a
-- $3: 00000000-0000-4000-8000-00000000000a
select coalesce(json_agg(j), '[]'), count(*), null
from (select r0."id", e1.value as "author"
from (select r0.*
from (select *
from "public"."posts" r0
where (r0."published" or (r0."author" = $1::uuid))) r0
order by (select r1."username"
from (select r1."id", r1."username", case when (r1."id" = $2::uuid) then r1."phone" end as "phone", r1."plan", r1."boss"
from "public"."profiles" r1) r1
where r1."id" = r0."author"
limit 1)
limit 1000) r0
left join lateral (select row_to_json(j) as value
from (select r1."username"
from (select r1."id", r1."username", case when (r1."id" = $3::uuid) then r1."phone" end as "phone", r1."plan", r1."boss"
from "public"."profiles" r1) r1
where r1."id" = r0."author"
limit 1) j) e1 on true) j
