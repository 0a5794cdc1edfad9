create function public.my_posts(at_least integer default 0) returns table (id uuid, title text, views integer)
    language sql stable
    begin atomic
        select posts.id, posts.title, posts.views from public.posts
        where posts.author = auth.uid() and posts.views >= at_least;
    end;
