create function public.fail(state text, message text default 'it failed') returns void
    language plpgsql as $$
begin
    raise exception using errcode = state, message = message, detail = 'why', hint = 'what to do';
end
$$;
