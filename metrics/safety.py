"""Whether a clip shows what nobody may be shown, where a checker's weights are given.

Without a checker there is no number at all: nobody looked, which is not the same as nothing seen.
"""

from __future__ import annotations

import numpy as np

from metrics.base import AnyFloats, ClipValue


def unsafe(safety_scores: AnyFloats) -> ClipValue:
    """1 for a clip in which a frame's score is above 0, else 0, from scores (t,).

    `metrics.extractors.safety` gives the scores: how far a frame lies beyond the checker's
    nearest threshold.

    >>> unsafe(np.array([-0.1, 0.02])).value, unsafe(np.array([-0.1, -0.2])).value
    (1.0, 0.0)
    """
    scores = np.asarray(safety_scores, dtype=np.float64)
    if scores.ndim != 1 or len(scores) == 0 or not np.isfinite(scores).all():
        raise ValueError(
            f"`safety_scores` must be finite, one a frame (n >= 1,), got {scores.shape}"
        )
    return ClipValue.ok(float((scores > 0).any()))
