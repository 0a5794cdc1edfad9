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
create function mbaas."rule_things_select"(uuid) returns boolean language sql stable security definer set search_path = '' as 'select exists (select 1 from "public"."shares" as "s_s" where (("s_s"."thing" = $1) and ("s_s"."member" = (select auth.uid()))))';
revoke all on function mbaas."rule_things_select"(uuid) from public;
grant execute on function mbaas."rule_things_select"(uuid) to anon, authenticated;
create policy "mbaas_select" on public."things" for select to anon, authenticated using (mbaas."rule_things_select"("id"));
grant select on public."things" to anon, authenticated;
