-- Roles a request may act as, what rules may ask about the caller, and our own schema.
-- Roles belong to the whole server, not to one database, so another database may have made them already.
do $$
declare
    wanted text;
begin
    foreach wanted in array array['anon', 'authenticated', 'service_role'] loop
        if not exists (select from pg_roles where rolname = wanted) then
            begin
                execute format('create role %I nologin noinherit', wanted);
            exception when duplicate_object or unique_violation then
                null;  -- made meanwhile
            end;
        end if;
        -- We act as them by SET ROLE. A superuser may; who made a role may since 16 only after saying so.
        if not (select rolsuper from pg_roles where rolname = current_user) then
            if current_setting('server_version_num')::integer < 160000 then
                if not pg_has_role(wanted, 'member') then
                    execute format('grant %I to %I', wanted, current_user);
                end if;
            elsif not pg_has_role(wanted, 'set') then
                execute format('grant %I to %I with set true, inherit false', wanted, current_user);
            end if;
        end if;
    end loop;
    begin
        if not (select rolbypassrls from pg_roles where rolname = 'service_role') then
            alter role service_role bypassrls;
        end if;
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

-- An id whose order is that of creation (RFC 9562, section 5.7). Before 18 by hand: milliseconds in 48 bits, then, as in
-- 18, their fraction in the 12 bits after the version (section 6.2, method 3); variant and the rest are a version 4's.
do $$
begin
    if current_setting('server_version_num')::integer >= 180000 then
        create function mbaas.uuidv7() returns uuid language sql volatile parallel safe
            return uuidv7();
    else
        create function mbaas.uuidv7() returns uuid language sql volatile parallel safe
            return (
                select encode(
                    substring(int8send(microseconds / 1000) from 3)
                    || int2send((28672 + microseconds % 1000 * 4096 / 1000)::smallint)
                    || substring(uuid_send(gen_random_uuid()) from 9),
                    'hex'
                )::uuid
                from (select floor(extract(epoch from clock_timestamp()) * 1000000)::bigint as microseconds) as now
            );
    end if;
end
$$;

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
-- Defaults run as whoever inserts.
grant execute on function mbaas.uuidv7() to anon, authenticated, service_role;
