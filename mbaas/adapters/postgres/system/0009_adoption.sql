-- Columns of users that functions and policies of projects made elsewhere may name. The server does not use them.
alter table auth.users add column if not exists instance_id uuid;
alter table auth.users add column if not exists is_super_admin boolean;
