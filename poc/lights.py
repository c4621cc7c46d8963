"""The lights of a decision: their order, and what `poc decide` exits with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from poc.records import Light

EXIT_CODES: Mapping[Light, int] = {
    Light.GO: 0,
    Light.NO_GO: 1,
    Light.INSUFFICIENT_EVIDENCE: 3,
    Light.CONDITIONAL: 4,
}
"""Exit code of `poc decide`; 2 is left to usage errors."""

ORDER = tuple(Light)
"""From best to worst."""


def exit_code(light: Light) -> int:
    """Return the exit code of `poc decide` for a decision's light.

    >>> exit_code(Light.GO)
    0
    """
    return EXIT_CODES[light]


def worst(lights: Iterable[Light]) -> Light:
    """Return the worst of some lights; raises ValueError where there are none.

    >>> worst([Light.GO, Light.CONDITIONAL]).value
    'CONDITIONAL'
    """
    return max(lights, key=ORDER.index)
