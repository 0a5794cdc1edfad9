-- Sign-in with providers. A flow is begun by a browser and ended by the same one: both are kept as hashes, and what
-- the provider is told in confidence (PKCE verifier, nonce) is computed from the state, so a copy shows nothing.
create table auth.oauth_flows (
    state_hash text primary key,
    -- null: nobody has opened the address of the flow yet.
    browser_hash text,
    provider text not null,
    redirect_to text not null,
    code_challenge text,
    code_challenge_method text check (code_challenge_method in ('s256', 'plain')),
    -- The user that wants the provider as a further way in.
    user_id uuid references auth.users on delete cascade,
    created_at timestamptz not null,
    expires_at timestamptz not null
);
create index oauth_flows_expires_at_idx on auth.oauth_flows (expires_at);
create index oauth_flows_user_id_idx on auth.oauth_flows (user_id) where user_id is not null;
alter table auth.oauth_flows enable row level security;

-- What the provider gave and the app has not fetched yet, sealed.
alter table auth.flow_state add column sealed text;
