create function public.post_titles(containing text default '') returns table (id uuid, title text)
    language sql stable
    begin atomic
        select posts.id, posts.title from public.posts
        where posts.title ilike '%' || containing || '%'
        order by posts.created_at desc;
    end;
