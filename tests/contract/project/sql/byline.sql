create function public.byline(public.posts) returns text language sql stable as
    'select $1.title || '' by '' || username from public.profiles where id = $1.author';
