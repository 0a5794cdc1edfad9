-- A function of a row inside a statement of the server's own: `case when enter(...) then leave(f(row)) end`. The server
-- is the owner of the tables, whom no policy holds; between the two calls it is the caller, whom they do.
-- CASE keeps the first in front; PL/pgSQL is never put in place of its call, so its argument is found out before it runs.
create function mbaas.enter(caller text, claims jsonb) returns boolean language plpgsql as $$
begin
    perform set_config('request.jwt.claims', claims::text, true), set_config('role', caller, true);
    return true;
end
$$;

create function mbaas.leave(result anyelement) returns anyelement language plpgsql as $$
begin
    perform set_config('role', 'none', true), set_config('request.jwt.claims', '', true);
    return result;
end
$$;
