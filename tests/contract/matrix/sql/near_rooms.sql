create function public.near_rooms(public.hubs) returns setof public.rooms language sql stable as
    'select (jsonb_populate_record(null::public.rooms, to_jsonb(found))).*
     from (select id, hub, author, title from public.rooms where hub = $1.id) as found';
