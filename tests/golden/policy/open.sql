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
create policy "mbaas_select" on public."things" for select to anon, authenticated using (("flag" or ("owner" = (select auth.uid()))));
grant select on public."things" to anon, authenticated;
