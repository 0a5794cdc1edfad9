create function public.near_mine(public.hubs) returns setof public.mine language sql stable as
    'select (jsonb_populate_record(null::public.mine, to_jsonb(found))).*
     from (select id, hub, author, title from public.mine where hub = $1.id) as found';
