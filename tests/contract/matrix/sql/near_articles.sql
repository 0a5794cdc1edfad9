create function public.near_articles(public.hubs) returns setof public.articles language sql stable as
    'select (jsonb_populate_record(null::public.articles, to_jsonb(found))).*
     from (select id, hub, author, title from public.articles where hub = $1.id) as found';
