-- Messages that wallets signed and that opened a session, as digests, until they are too old to be taken again.
create table auth.web3_messages (
    digest text primary key,
    expires_at timestamptz not null
);
create index web3_messages_expires_at_idx on auth.web3_messages (expires_at);
alter table auth.web3_messages enable row level security;
