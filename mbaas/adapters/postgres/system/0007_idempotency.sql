-- The answers of writes that came with an Idempotency-Key. Each is kept in the transaction of its write: both are there,
-- or neither is. id: a digest of caller and key, so that keys themselves are not kept. fingerprint: of the request.
create table mbaas.kept_answers (
    id bytea primary key,
    fingerprint bytea not null,
    status smallint not null,
    head text not null,
    body bytea not null,
    kept_until timestamptz not null
);
create index kept_answers_kept_until on mbaas.kept_answers (kept_until);

-- 'busy': a transaction that is not over has it. 'kept': with the answer. No row: it is this transaction's until its end.
-- The look follows the lock as a statement of its own, which sees what was committed until then.
create function mbaas.claim_answer(wanted bytea)
returns table (state text, fingerprint bytea, status smallint, head text, body bytea) language plpgsql as $$
begin
    if not pg_try_advisory_xact_lock(('x' || encode(substring(wanted for 8), 'hex'))::bit(64)::bigint) then
        return query select 'busy', null::bytea, null::smallint, null::text, null::bytea;
        return;
    end if;
    return query
        select 'kept', known.fingerprint, known.status, known.head, known.body
        from mbaas.kept_answers as known
        where known.id = wanted and known.kept_until > clock_timestamp();
end
$$;
