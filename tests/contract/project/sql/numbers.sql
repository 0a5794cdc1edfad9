create function public.numbers(until integer) returns setof integer
    language sql immutable
    return generate_series(1, until);
