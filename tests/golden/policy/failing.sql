alter table public."things" enable row level security;
revoke all on public."things" from public, anon, authenticated;
grant all on public."things" to service_role;
drop policy if exists "mbaas_select" on public."things";
drop policy if exists "mbaas_insert" on public."things";
drop policy if exists "mbaas_update" on public."things";
drop policy if exists "mbaas_delete" on public."things";

do $$
declare
    old regprocedure;
begin
    for old in
        select oid::regprocedure from pg_proc
        where pronamespace = 'mbaas'::regnamespace and proname in ('rule_things_select', 'rule_things_insert', 'rule_things_update', 'rule_things_delete')
    loop
        execute format('drop function %s', old);
    end loop;
end
$$;
create or replace function mbaas.guard_876a525164e9ce2fdd3961943d2bc229bdfc3984(jsonb) returns uuid language plpgsql stable security definer set search_path = '' as 'begin return (($1 ->> ''owner''))::uuid; exception when data_exception or cardinality_violation or program_limit_exceeded then return null; end';
revoke all on function mbaas.guard_876a525164e9ce2fdd3961943d2bc229bdfc3984(jsonb) from public;
grant execute on function mbaas.guard_876a525164e9ce2fdd3961943d2bc229bdfc3984(jsonb) to anon, authenticated;
create or replace function mbaas.guard_6e2d0b125051090a48835ce5b5e2af0d80575130(text, boolean) returns boolean language plpgsql stable security definer set search_path = '' as 'begin return ((($1)::integer > 5) or $2); exception when data_exception or cardinality_violation or program_limit_exceeded then return null; end';
revoke all on function mbaas.guard_6e2d0b125051090a48835ce5b5e2af0d80575130(text, boolean) from public;
grant execute on function mbaas.guard_6e2d0b125051090a48835ce5b5e2af0d80575130(text, boolean) to anon, authenticated;
create policy "mbaas_select" on public."things" for select to anon, authenticated using ((("owner" = mbaas.guard_876a525164e9ce2fdd3961943d2bc229bdfc3984((select auth.jwt()))) and mbaas.guard_6e2d0b125051090a48835ce5b5e2af0d80575130("title", "flag")));
grant select on public."things" to anon, authenticated;
