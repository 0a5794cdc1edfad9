create function public.weigh(bytea) returns integer
    language sql immutable
    return length($1);
