create function public.near_claimed(public.hubs) returns setof public.claimed language sql stable as
    'select (jsonb_populate_record(null::public.claimed, to_jsonb(found))).*
     from (select id, hub, author, title from public.claimed where hub = $1.id) as found';
