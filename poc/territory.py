"""Where something is used or allowed: countries by ISO 3166-1 code, the EU and the whole world."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Final

from pydantic import AfterValidator, Field

WORLD: Final = "WORLD"
EU: Final = "EU"
EU_MEMBERS: Final = frozenset(
    "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK".split()  # noqa: SIM905  # 27 codes read best on one line
)


def _no_slip(code: str) -> str:
    if code == "UK":
        raise ValueError("expected an ISO 3166-1 code, got 'UK'. The United Kingdom is GB.")
    return code


Territory = Annotated[str, Field(pattern=r"^([A-Z]{2}|WORLD)$"), AfterValidator(_no_slip)]
"""A country such as JP, `EU`, or `WORLD`."""


def uncovered(wanted: Iterable[str], granted: Iterable[str]) -> tuple[str, ...]:
    """Return what of the wanted territory the granted one does not hold, sorted.

    >>> uncovered(["DE", "JP"], ["EU"]), uncovered(["EU"], ["DE"]), uncovered(["JP"], ["WORLD"])
    (('JP',), ('EU',), ())
    """
    allowed = frozenset(granted)
    if EU in allowed:
        allowed |= EU_MEMBERS
    if WORLD in allowed:
        return ()
    return tuple(sorted(one for one in set(wanted) if one not in allowed))


def touched(wanted: Iterable[str], excluded: Iterable[str]) -> tuple[str, ...]:
    """Return the excluded places that the wanted territory reaches into, sorted.

    >>> touched(["DE"], ["EU", "GB"]), touched(["WORLD"], ["KR"]), touched(["JP"], ["EU"])
    (('EU',), ('KR',), ())
    >>> touched(["EU"], ["DE"]), touched(["EU"], ["GB"])
    (('DE',), ())
    """
    reach = frozenset(wanted)
    return tuple(sorted(place for place in set(excluded) if _meets(place, reach)))


def _meets(place: str, reach: frozenset[str]) -> bool:
    if WORLD in reach or place in reach:
        return True
    if place == EU:
        return bool(reach & EU_MEMBERS)
    return place in EU_MEMBERS and EU in reach
