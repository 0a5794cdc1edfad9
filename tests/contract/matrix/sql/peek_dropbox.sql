create function public.peek_dropbox(public.dropbox) returns text language sql stable as
    'select concat_ws('':'', $1.title, $1.private, $1.sealed)';
