create function public.total(variadic nums integer[]) returns bigint
    language sql immutable
    return (select sum(n) from unnest(nums) as n);
