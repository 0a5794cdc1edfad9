create function public.all_notices() returns table (id uuid, title text)
    language sql stable
    begin atomic
        select notices.id, notices.title from public.notices;
    end;
