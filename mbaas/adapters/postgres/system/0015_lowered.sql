-- A session that fell back to aal1, its factor removed: what its access tokens say of aal2 holds no longer. For that
-- reason, until is the moment it fell back: tokens from before it are aal1, those from after it what they say.
alter table auth.revocations
    drop constraint revocations_reason_check,
    add constraint revocations_reason_check check (reason in ('ended', 'banned', 'deleted', 'lowered'));

create function auth.lower_session() returns trigger language plpgsql set search_path = '' as $$
begin
    insert into auth.revocations (subject, reason, until) values (new.id, 'lowered', new.updated_at)
    on conflict (subject) do update set
        reason = excluded.reason, until = excluded.until, changed_at = clock_timestamp()
    where revocations.reason = 'lowered';
    return null;
end
$$;
create trigger lowered after update of aal on auth.sessions
    for each row
    when (old.aal = 'aal2' and new.aal = 'aal1')
    execute function auth.lower_session();

-- As before, and an end counts for more than a fall.
create or replace function auth.revoke_sessions() returns trigger language plpgsql set search_path = '' as $$
begin
    insert into auth.revocations (subject, reason, until) select id, 'ended', 'infinity' from ended
    on conflict (subject) do update set
        reason = excluded.reason, until = excluded.until, changed_at = clock_timestamp()
    where revocations.reason = 'lowered';
    return null;
end
$$;
