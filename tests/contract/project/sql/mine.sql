create function public.mine(public.posts) returns boolean language sql stable return $1.author = auth.uid();
