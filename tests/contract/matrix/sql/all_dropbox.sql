create function public.all_dropbox() returns table (id uuid, title text)
    language sql stable
    begin atomic
        select dropbox.id, dropbox.title from public.dropbox;
    end;
