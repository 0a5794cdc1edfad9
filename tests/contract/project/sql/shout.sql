create function public.shout(text) returns text
    language sql immutable
    return upper($1);
