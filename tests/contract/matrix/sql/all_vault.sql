create function public.all_vault() returns table (id uuid, title text)
    language sql stable
    begin atomic
        select vault.id, vault.title from public.vault;
    end;
