create function public.peek_vault(public.vault) returns text language sql stable as
    'select concat_ws('':'', $1.title, $1.private, $1.sealed)';
