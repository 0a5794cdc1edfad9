-- 1. function f  [none, in a transaction]
select mbaas.install_function('f', 'create function f() returns int language sql return 1', array['anon']::text[], false);
select mbaas.require_invoker_views();

-- 2. posts: rules as policies  [ACCESS EXCLUSIVE, in a transaction]
grant select on posts to anon;

-- 3. drop function g  [none, in a transaction]
select mbaas.remove_function('g');

