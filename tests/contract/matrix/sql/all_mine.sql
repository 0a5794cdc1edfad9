create function public.all_mine() returns table (id uuid, title text)
    language sql stable
    begin atomic
        select mine.id, mine.title from public.mine;
    end;
