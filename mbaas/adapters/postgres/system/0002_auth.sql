-- Users, how they prove who they are, and their sessions. Names and columns are those people know from Supabase, so
-- that `references auth.users` and familiar SQL hold. No role of the API reaches these tables: no grants, row security
-- on, no policy. Only the server, as the owner, does. Times come from the server's clock, not from now().

create table auth.users (
    id uuid primary key,
    aud text not null default 'authenticated',
    role text not null default 'authenticated' check (role in ('anon', 'authenticated', 'service_role')),
    email text check (email = lower(email)),
    encrypted_password text,
    email_confirmed_at timestamptz,
    invited_at timestamptz,
    confirmation_sent_at timestamptz,
    recovery_sent_at timestamptz,
    email_change text check (email_change = lower(email_change)),
    email_change_sent_at timestamptz,
    -- Who has still to agree to the change. 0: the current and the new address; 1: the new one; 2: the current one.
    email_change_confirm_status smallint not null default 0 check (email_change_confirm_status in (0, 1, 2)),
    phone text check (phone ~ '^[1-9][0-9]{1,14}$'),
    phone_confirmed_at timestamptz,
    confirmed_at timestamptz generated always as (least(email_confirmed_at, phone_confirmed_at)) stored,
    last_sign_in_at timestamptz,
    raw_app_meta_data jsonb not null default '{}',
    raw_user_meta_data jsonb not null default '{}',
    is_sso_user boolean not null default false,
    is_anonymous boolean not null default false,
    banned_until timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    deleted_at timestamptz
);
-- Single sign-on may bring an address that a password account has too; they are different users.
create unique index users_email_key on auth.users (email) where not is_sso_user;
create unique index users_phone_key on auth.users (phone);
create index users_created_at_idx on auth.users (created_at desc, id);

create table auth.identities (
    id uuid primary key,
    provider_id text not null,
    user_id uuid not null references auth.users on delete cascade,
    identity_data jsonb not null,
    provider text not null,
    last_sign_in_at timestamptz,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    email text generated always as (lower(identity_data ->> 'email')) stored,
    unique (provider_id, provider)
);
create index identities_user_id_idx on auth.identities (user_id);

-- A session holds no refresh token: its tokens are its id and a counter under a key of the server, see
-- modules/auth/refresh.py. rotated_at: when each of the latest counters was replaced, oldest first.
create table auth.sessions (
    id uuid primary key,
    user_id uuid not null references auth.users on delete cascade,
    aal text not null default 'aal1' check (aal in ('aal1', 'aal2', 'aal3')),
    amr jsonb not null default '[]',
    refresh_counter bigint not null default 0,
    rotated_at timestamptz[] not null default '{}',
    not_after timestamptz,
    user_agent text,
    ip inet,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    refreshed_at timestamptz
);
create index sessions_user_id_idx on auth.sessions (user_id);

-- One mail, one row: a link and a code that mean the same. Both are kept as hashes and die together.
create table auth.one_time_tokens (
    id uuid primary key,
    user_id uuid not null references auth.users on delete cascade,
    kind text not null check (
        kind in ('confirmation', 'invite', 'magiclink', 'recovery', 'email_change_current', 'email_change_new')
    ),
    relates_to text not null,
    link_hash text not null unique,
    code_hash text not null,
    attempts smallint not null default 0,
    code_challenge text,
    code_challenge_method text check (code_challenge_method in ('s256', 'plain')),
    created_at timestamptz not null,
    code_expires_at timestamptz not null,
    expires_at timestamptz not null,
    unique (user_id, kind)
);
create index one_time_tokens_relates_to_idx on auth.one_time_tokens (relates_to);

-- A sign-in on its way back to the app that began it (RFC 7636): one code, one exchange.
create table auth.flow_state (
    id uuid primary key,
    user_id uuid not null references auth.users on delete cascade,
    code_hash text not null unique,
    code_challenge text not null,
    code_challenge_method text not null check (code_challenge_method in ('s256', 'plain')),
    authentication_method text not null,
    created_at timestamptz not null,
    expires_at timestamptz not null
);
create index flow_state_expires_at_idx on auth.flow_state (expires_at);
create index flow_state_user_id_idx on auth.flow_state (user_id);

-- When an address was last written to, for what. Addresses nobody registered pause alike, so a pause tells nothing.
create table auth.mail_pauses (
    key text primary key,
    sent_at timestamptz not null
);
create index mail_pauses_sent_at_idx on auth.mail_pauses (sent_at);

create table auth.audit_log_entries (
    id uuid primary key,
    created_at timestamptz not null,
    ip_address text not null default '',
    payload jsonb not null
);
create index audit_log_entries_created_at_idx on auth.audit_log_entries (created_at);

alter table auth.users enable row level security;
alter table auth.identities enable row level security;
alter table auth.sessions enable row level security;
alter table auth.one_time_tokens enable row level security;
alter table auth.flow_state enable row level security;
alter table auth.mail_pauses enable row level security;
alter table auth.audit_log_entries enable row level security;

-- The user as clients see it; the shape is modules/auth/objects.py's User. Never a hash.
create function auth.user_object(u auth.users) returns jsonb language sql stable
    return jsonb_build_object(
        'id', u.id,
        'aud', u.aud,
        'role', u.role,
        'email', coalesce(u.email, ''),
        'email_confirmed_at', u.email_confirmed_at,
        'phone', coalesce(u.phone, ''),
        'phone_confirmed_at', u.phone_confirmed_at,
        'confirmed_at', u.confirmed_at,
        'confirmation_sent_at', u.confirmation_sent_at,
        'recovery_sent_at', u.recovery_sent_at,
        'email_change_sent_at', u.email_change_sent_at,
        'new_email', u.email_change,
        'invited_at', u.invited_at,
        'last_sign_in_at', u.last_sign_in_at,
        'app_metadata', u.raw_app_meta_data,
        'user_metadata', u.raw_user_meta_data,
        'identities', coalesce(
            (
                select jsonb_agg(
                    jsonb_build_object(
                        'identity_id', i.id,
                        'id', i.provider_id,
                        'user_id', i.user_id,
                        'identity_data', i.identity_data,
                        'provider', i.provider,
                        'last_sign_in_at', i.last_sign_in_at,
                        'created_at', i.created_at,
                        'updated_at', i.updated_at,
                        'email', i.email
                    )
                    order by i.created_at, i.id
                )
                from auth.identities as i
                where i.user_id = u.id
            ),
            '[]'
        ),
        'created_at', u.created_at,
        'updated_at', u.updated_at,
        'banned_until', u.banned_until,
        'deleted_at', u.deleted_at,
        'is_anonymous', u.is_anonymous
    );
