-- POST /rpc/visible_posts?select=title,author(username)
select coalesce(json_agg(f), '[]'), count(*), null
from (select f.*
from (select) p cross join lateral "public"."visible_posts"() f) f
