create function public.payment_required() returns void
    language plpgsql as $$
begin
    raise sqlstate 'PT402' using message = 'Payment required', detail = 'no funds', hint = 'add some';
end
$$;
