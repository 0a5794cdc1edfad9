-- Second factors and passkeys. What a factor's secret is stands sealed or hashed; a copy of the database gives none.

create table auth.mfa_factors (
    id uuid primary key,
    user_id uuid not null references auth.users on delete cascade,
    friendly_name text not null,
    factor_type text not null check (factor_type in ('totp', 'phone', 'webauthn', 'recovery_code')),
    status text not null default 'unverified' check (status in ('unverified', 'verified')),
    secret bytea,
    -- Of TOTP: the latest step a code was taken for (RFC 6238 section 5.2: each once).
    last_step bigint,
    phone text check (phone ~ '^[1-9][0-9]{1,14}$'),
    last_challenged_at timestamptz,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    unique (user_id, friendly_name)
);

-- Public keys of authenticators. Without a factor: a passkey, which opens sessions by itself.
create table auth.webauthn_credentials (
    id uuid primary key,
    user_id uuid not null references auth.users on delete cascade,
    factor_id uuid unique references auth.mfa_factors on delete cascade,
    credential_id bytea not null unique,
    public_key bytea not null,
    sign_count bigint not null,
    transports text[] not null default '{}',
    friendly_name text,
    last_used_at timestamptz,
    created_at timestamptz not null
);
create index webauthn_credentials_user_id_idx on auth.webauthn_credentials (user_id);

-- Ways to prove something once. purpose tells what a challenge is for; it serves nothing else.
create table auth.mfa_challenges (
    id uuid primary key,
    purpose text not null check (purpose in ('factor', 'passkey_registration', 'passkey_authentication')),
    factor_id uuid references auth.mfa_factors on delete cascade,
    session_id uuid references auth.sessions on delete cascade,
    ip inet,
    secret bytea,
    attempts smallint not null default 0,
    used_at timestamptz,
    created_at timestamptz not null,
    expires_at timestamptz not null
);
create index mfa_challenges_factor_id_idx on auth.mfa_challenges (factor_id);
create index mfa_challenges_session_id_idx on auth.mfa_challenges (session_id);
create index mfa_challenges_expires_at_idx on auth.mfa_challenges (expires_at);

create table auth.mfa_recovery_codes (
    factor_id uuid not null references auth.mfa_factors on delete cascade,
    code_hash bytea not null,
    used_at timestamptz,
    primary key (factor_id, code_hash)
);

-- Codes tried of late, by what tried them: counted here, so by all nodes together.
create table auth.mfa_tries (
    key text primary key,
    tries integer not null,
    until timestamptz not null
);
create index mfa_tries_until_idx on auth.mfa_tries (until);

-- proven_by: the factor or passkey that aal2 rests on. first_counter: refresh tokens below it are from before the
-- session was raised, and dead.
alter table auth.sessions
    add column proven_by uuid,
    add column first_counter bigint not null default 0;

alter table auth.mfa_factors enable row level security;
alter table auth.webauthn_credentials enable row level security;
alter table auth.mfa_challenges enable row level security;
alter table auth.mfa_recovery_codes enable row level security;
alter table auth.mfa_tries enable row level security;

create function auth.factor_object(f auth.mfa_factors) returns jsonb language sql stable
    return jsonb_build_object(
        'id', f.id,
        'friendly_name', f.friendly_name,
        'factor_type', f.factor_type,
        'status', f.status,
        'phone', f.phone,
        'last_challenged_at', f.last_challenged_at,
        'created_at', f.created_at,
        'updated_at', f.updated_at
    );

-- As before, with factors.
create or replace function auth.user_object(u auth.users) returns jsonb language sql stable
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
        'new_phone', u.phone_change,
        'reauthentication_sent_at', u.reauthentication_sent_at,
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
        'factors', coalesce(
            (
                select jsonb_agg(auth.factor_object(f) order by f.created_at, f.id)
                from auth.mfa_factors as f
                where f.user_id = u.id
            ),
            '[]'
        ),
        'created_at', u.created_at,
        'updated_at', u.updated_at,
        'banned_until', u.banned_until,
        'deleted_at', u.deleted_at,
        'is_anonymous', u.is_anonymous
    );
