-- Roles a request may act as, what rules may ask about the caller, and our own schema.
-- Roles belong to the whole server, not to one database, so another database may have made them already.
do $$
declare
    wanted text;
begin
    foreach wanted in array array['anon', 'authenticated', 'service_role'] loop
        begin
            execute format('create role %I nologin noinherit', wanted);
        exception when duplicate_object or unique_violation then
            null;
        end;
    end loop;
    begin
        alter role service_role bypassrls;
    exception when insufficient_privilege then
        raise notice 'service_role keeps its row security: only a superuser may grant BYPASSRLS';
    end;
end
$$;

create schema if not exists auth;
create schema if not exists mbaas;

revoke all on schema public from public;
grant usage on schema public, auth to anon, authenticated, service_role;
-- Whole-database defaults: one for a schema alone could only add to what PUBLIC has.
alter default privileges revoke execute on functions from public;

-- The verified JWT payload of the caller, set local to a transaction that runs as the caller; null outside of one.
create function auth.jwt() returns jsonb language sql stable parallel safe
    return nullif(current_setting('request.jwt.claims', true), '')::jsonb;

-- An id that is no UUID (a token of another issuer) is nobody's.
create function auth.uid() returns uuid language sql stable parallel safe
    return case
        when auth.jwt() ->> 'sub' ~ '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$' then (auth.jwt() ->> 'sub')::uuid
    end;

create function auth.role() returns text language sql stable parallel safe
    return coalesce(auth.jwt() ->> 'role', 'anon');

create function auth.email() returns text language sql stable parallel safe
    return auth.jwt() ->> 'email';

create function auth.aal() returns text language sql stable parallel safe
    return coalesce(nullif(auth.jwt() ->> 'aal', ''), 'aal1');

create function auth.claim(path text) returns jsonb language sql stable parallel safe
    return auth.jwt() #> string_to_array(path, '.');

-- Aborts the statement it is called in: a write broke a rule. The text is what PostgreSQL itself says.
create function mbaas.refuse(collection text) returns boolean language plpgsql as $$
begin
    raise exception using errcode = '42501',
        message = format('new row violates row-level security policy for table "%s"', collection);
end
$$;

-- Keeps updated_at true whoever writes.
create function mbaas.touch() returns trigger language plpgsql as $$
begin
    new.updated_at = now();
    return new;
end
$$;

grant execute on all functions in schema auth to anon, authenticated, service_role;
