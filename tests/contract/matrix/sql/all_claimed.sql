create function public.all_claimed() returns table (id uuid, title text)
    language sql stable
    begin atomic
        select claimed.id, claimed.title from public.claimed;
    end;
