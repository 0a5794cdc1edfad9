create function public.area(side integer) returns integer language sql immutable return side * side;
create function public.area(width integer, height integer) returns integer language sql immutable
    return width * height;
