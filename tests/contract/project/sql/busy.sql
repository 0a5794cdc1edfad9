create function public.busy() returns text
    language plpgsql stable as $$
begin
    raise sqlstate 'PGRST' using
        message = '{"code": "BUSY", "message": "come again"}',
        detail = '{"status": 503, "headers": {"retry-after": "0"}}';
end
$$;
