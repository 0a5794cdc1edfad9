create function public.peek_rooms(public.rooms) returns text language sql stable as
    'select concat_ws('':'', $1.title, $1.private, $1.sealed)';
