create function public.nothing() returns void
    language sql
    begin atomic
        select;
    end;
