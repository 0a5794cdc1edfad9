create function public.greet(name text default 'world') returns text
    language sql immutable
    return 'hello ' || name;
