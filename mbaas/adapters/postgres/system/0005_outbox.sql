-- What leaves this system: a row first, in the transaction of what caused it, then sent. A row ends when it was sent;
-- one nobody will send any more stays as a dead letter for a while.
-- Times are the database's: one clock for all nodes that hold leases.
create table mbaas.outbox (
    id uuid primary key,
    channel text not null,
    kind text not null,
    destination text not null,
    -- Sealed under the project's key (adapters/sealing.py): a dump has no code, no link and no address in clear.
    payload bytea not null,
    state text not null default 'waiting' check (state in ('waiting', 'dead')),
    -- When it may be taken next. Taking it moves this to the end of the lease, so that a lease nobody ended ends itself.
    due_at timestamptz not null default now(),
    held boolean not null default false,
    -- Counts takings. Who wants to change a row names the generation he took: what a later one took is not his.
    generation bigint not null default 0,
    attempts integer not null default 0,
    expires_at timestamptz not null,
    created_at timestamptz not null default now(),
    died_at timestamptz,
    last_error text
);
create index outbox_waiting_idx on mbaas.outbox (channel, destination, due_at, id) where state = 'waiting';
create index outbox_held_idx on mbaas.outbox (channel, destination) where held;
create index outbox_dead_idx on mbaas.outbox (died_at) where state = 'dead';
alter table mbaas.outbox enable row level security;

-- Texts of messages that an administrator has set, instead of those we ship and those beside mbaas.toml.
create table mbaas.message_templates (
    kind text not null,
    locale text not null,
    subject text,
    text text not null,
    html text,
    updated_at timestamptz not null default now(),
    primary key (kind, locale)
);
alter table mbaas.message_templates enable row level security;
