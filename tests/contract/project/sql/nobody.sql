create function public.nobody() returns text
    language sql immutable
    return null::text;
