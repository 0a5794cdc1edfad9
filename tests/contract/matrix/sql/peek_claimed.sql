create function public.peek_claimed(public.claimed) returns text language sql stable as
    'select concat_ws('':'', $1.title, $1.private, $1.sealed)';
