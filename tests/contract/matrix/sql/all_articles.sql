create function public.all_articles() returns table (id uuid, title text)
    language sql stable
    begin atomic
        select articles.id, articles.title from public.articles;
    end;
