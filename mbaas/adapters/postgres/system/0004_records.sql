-- What aborts a write of /rest/v1 from inside its own statement, so that nothing of it stays.
-- The states are of our own class: the server turns them into its answers and they reach no caller.
create function mbaas.halt(reason text, affected bigint) returns text language plpgsql as $$
begin
    raise exception using
        errcode = case reason when 'singular' then 'MB001' else 'MB002' end,
        message = affected::text;
end
$$;

-- A key that the server hands out stays as it is. State and text are PostgreSQL's own for GENERATED ALWAYS columns.
create function mbaas.keep(field text) returns boolean language plpgsql as $$
begin
    raise exception using
        errcode = '428C9',
        message = format('column "%s" can only be updated to DEFAULT', field);
end
$$;
