create function public.pick(value integer) returns text language sql immutable return 'a number';
create function public.pick(value text) returns text language sql immutable return 'a text';
