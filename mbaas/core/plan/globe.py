"""A circle on the earth as boxes that an index can find, which hold all of it."""

from __future__ import annotations

import math

from mbaas.core.query.places import Box, Circle, Within

EARTH_RADIUS_M = 6_371_008.8  # mean, IUGG; the one that mbaas.distance_m reckons with
_SLACK = 1e-9  # degrees, a tenth of a millimetre: what rounding may take away


def boxes(place: Within) -> tuple[Box, ...]:
    """One, or two where the antimeridian is crossed.

    >>> boxes(Box("p", 0, 170, 1, -170))[1].west
    -180.0
    """
    box = place if isinstance(place, Box) else _around(place)
    if box.west <= box.east:
        return (box,)
    return (
        Box(box.field, box.south, box.west, box.north, 180.0),
        Box(box.field, box.south, -180.0, box.north, box.east),
    )


def _around(circle: Circle) -> Box:
    angle = circle.radius / EARTH_RADIUS_M
    reach = math.degrees(angle) + _SLACK
    south, north = circle.latitude - reach, circle.latitude + reach
    if south <= -90 or north >= 90:  # a pole lies in it, so every longitude does
        return Box(circle.field, max(south, -90.0), -180.0, min(north, 90.0), 180.0)
    width = math.degrees(math.asin(min(1.0, math.sin(angle) / math.cos(math.radians(circle.latitude))))) + _SLACK
    if width >= 180:
        return Box(circle.field, south, -180.0, north, 180.0)
    west, east = circle.longitude - width, circle.longitude + width
    return Box(circle.field, south, west + 360 * (west < -180), north, east - 360 * (east > 180))
