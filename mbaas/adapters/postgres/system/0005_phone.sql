-- Sign-in by phone: a number that waits for its proof, and codes for it; and proving anew who one is.
alter table auth.users
    add column phone_change text check (phone_change ~ '^[1-9][0-9]{1,14}$'),
    add column phone_change_sent_at timestamptz,
    add column reauthentication_sent_at timestamptz;
create index users_phone_change_idx on auth.users (phone_change) where phone_change is not null;

alter table auth.one_time_tokens
    drop constraint one_time_tokens_kind_check,
    add constraint one_time_tokens_kind_check check (
        kind in (
            'confirmation', 'invite', 'magiclink', 'recovery', 'email_change_current', 'email_change_new',
            'phone_confirmation', 'sms', 'phone_change', 'reauthentication'
        )
    );

-- As before, with what is new.
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
        'created_at', u.created_at,
        'updated_at', u.updated_at,
        'banned_until', u.banned_until,
        'deleted_at', u.deleted_at,
        'is_anonymous', u.is_anonymous
    );
