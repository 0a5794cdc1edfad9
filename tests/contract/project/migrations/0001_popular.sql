create view public.popular with (security_invoker = true) as
    select posts.id, posts.title, posts.slug, writer.writer, posts.views * 2 as score
    from public.posts
    join (select id, author as writer from public.posts) as writer on writer.id = posts.id
    where posts.published;
-- down
drop view public.popular;
