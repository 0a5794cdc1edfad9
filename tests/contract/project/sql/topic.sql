create function public.topic(public.comments) returns setof public.posts rows 1 language sql stable as
    'select * from public.posts where id = $1.post';
