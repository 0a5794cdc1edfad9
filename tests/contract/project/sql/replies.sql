create function public.replies(public.posts) returns setof public.comments language sql stable as
    'select * from public.comments where post = $1.id order by body';
