create function public.echo(json) returns json
    language sql immutable
    return $1;
