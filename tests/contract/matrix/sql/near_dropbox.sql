create function public.near_dropbox(public.hubs) returns setof public.dropbox language sql stable as
    'select (jsonb_populate_record(null::public.dropbox, to_jsonb(found))).*
     from (select id, hub, author, title from public.dropbox where hub = $1.id) as found';
