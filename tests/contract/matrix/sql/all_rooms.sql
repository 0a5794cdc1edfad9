create function public.all_rooms() returns table (id uuid, title text)
    language sql stable
    begin atomic
        select rooms.id, rooms.title from public.rooms;
    end;
