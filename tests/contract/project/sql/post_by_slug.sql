create function public.post_by_slug(slug text) returns public.posts
    language sql stable
    begin atomic
        select * from public.posts where posts.slug = post_by_slug.slug;
    end;
