create function public.contact(public.profiles) returns text language sql stable return $1.phone;
