create function public.teapot() returns void
    language plpgsql as $$
begin
    raise sqlstate 'PGRST' using
        message = '{"code": "POT", "message": "short and stout", "details": "d", "hint": "h"}',
        detail = '{"status": 418, "headers": {"x-pot": "tea"}}';
end
$$;
