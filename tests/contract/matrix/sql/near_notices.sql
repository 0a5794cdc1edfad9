create function public.near_notices(public.hubs) returns setof public.notices language sql stable as
    'select (jsonb_populate_record(null::public.notices, to_jsonb(found))).*
     from (select id, hub, author, title from public.notices where hub = $1.id) as found';
