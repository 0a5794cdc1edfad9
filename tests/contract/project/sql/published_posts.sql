create function public.published_posts() returns setof public.posts
    language sql stable
    begin atomic
        select * from public.posts where published;
    end;
