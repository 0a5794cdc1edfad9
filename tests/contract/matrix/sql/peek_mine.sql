create function public.peek_mine(public.mine) returns text language sql stable as
    'select concat_ws('':'', $1.title, $1.private, $1.sealed)';
