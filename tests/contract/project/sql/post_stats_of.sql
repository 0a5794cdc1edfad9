create function public.post_stats_of(slug text) returns table (title text, likes integer)
    language sql stable
    begin atomic
        select posts.title, post_stats.likes
        from public.posts left join public.post_stats on post_stats.post = posts.id
        where posts.slug = post_stats_of.slug;
    end;
