create function public.loud(public.posts) returns text language sql immutable return upper($1.title);
