create function public.peek_articles(public.articles) returns text language sql stable as
    'select concat_ws('':'', $1.title, $1.private, $1.sealed)';
