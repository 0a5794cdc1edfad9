-- Sessions that end before their access tokens do, tries that are counted, an audit that is only added to, and roles.

-- Whom access tokens are not good for any more, for nodes to ask for what changed since they last asked. Triggers keep it,
-- so that nothing that ends a session can forget to. Times are the database's, so that nodes need not agree on one.
create table auth.revocations (
    subject uuid primary key,
    reason text not null check (reason in ('ended', 'banned', 'deleted')),
    until timestamptz not null,
    changed_at timestamptz not null default clock_timestamp()
);
create index revocations_changed_at_idx on auth.revocations (changed_at);
alter table auth.revocations enable row level security;

create function auth.revoke_sessions() returns trigger language plpgsql set search_path = '' as $$
begin
    insert into auth.revocations (subject, reason, until) select id, 'ended', 'infinity' from ended
    on conflict (subject) do nothing;
    return null;
end
$$;
create trigger revoked after delete on auth.sessions
    referencing old table as ended
    for each statement execute function auth.revoke_sessions();

-- Who was unbanned, or made anew under an id of before, is let in again.
create function auth.revoke_user() returns trigger language plpgsql set search_path = '' as $$
declare
    gone boolean := tg_op = 'DELETE' or (tg_op = 'UPDATE' and new.deleted_at is not null);
begin
    if tg_op = 'INSERT' then
        update auth.revocations set until = '-infinity', changed_at = clock_timestamp() where subject = new.id;
        return null;
    end if;
    insert into auth.revocations (subject, reason, until) values (
        old.id,
        case when gone then 'deleted' else 'banned' end,
        case when gone then 'infinity' else coalesce(new.banned_until, '-infinity') end
    )
    on conflict (subject) do update set
        reason = excluded.reason, until = excluded.until, changed_at = clock_timestamp();
    return null;
end
$$;
create trigger revoked_when_changed after update of banned_until, deleted_at on auth.users
    for each row
    when (old.banned_until is distinct from new.banned_until or old.deleted_at is distinct from new.deleted_at)
    execute function auth.revoke_user();
create trigger revoked_when_deleted after insert or delete on auth.users
    for each row execute function auth.revoke_user();

-- Failures by account, address and both; the names are hashes.
create table auth.throttles (
    key text primary key,
    failures integer not null,
    since timestamptz not null
);
create index throttles_since_idx on auth.throttles (since);
alter table auth.throttles enable row level security;

create function auth.refuse_change() returns trigger language plpgsql as $$
begin
    raise exception using errcode = '42501', message = format('%I.%I is only added to', tg_table_schema, tg_table_name);
end
$$;
create trigger only_added_to before update or delete or truncate on auth.audit_log_entries
    for each statement execute function auth.refuse_change();
create index audit_log_entries_user_idx on auth.audit_log_entries ((payload ->> 'user_id'), created_at desc);

-- Whether the caller's app metadata lists a role. What rules make of it: rules/parse.py.
create function auth.has_role(name text) returns boolean language sql stable parallel safe
    return coalesce(auth.jwt() #> '{app_metadata,roles}' @> jsonb_build_array(name), false);
grant execute on function auth.has_role(text) to anon, authenticated, service_role;
