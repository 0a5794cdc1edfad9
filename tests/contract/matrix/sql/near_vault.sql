create function public.near_vault(public.hubs) returns setof public.vault language sql stable as
    'select (jsonb_populate_record(null::public.vault, to_jsonb(found))).*
     from (select id, hub, author, title from public.vault where hub = $1.id) as found';
