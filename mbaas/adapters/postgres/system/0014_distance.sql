-- The way between two points of (latitude, longitude) in metres, on a sphere of the earth's mean radius (haversine).
-- Null for what lies nowhere on the earth: sin() of an infinity would be an error.
create function mbaas.distance_m(a point, b point) returns double precision
    language sql immutable strict parallel safe
    return case
        when abs(a[0]) <= 90 and abs(b[0]) <= 90 and abs(a[1]) <= 180 and abs(b[1]) <= 180 then
            2 * 6371008.8 * asin(least(1, sqrt(
                sin(radians(b[0] - a[0]) / 2) ^ 2
                + cos(radians(a[0])) * cos(radians(b[0])) * sin(radians(b[1] - a[1]) / 2) ^ 2
            )))
    end;
grant execute on function mbaas.distance_m(point, point) to anon, authenticated, service_role;
