"""A clip is judged when it is made: NaN, black, frozen and wrong sizes are invalid."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_components import SHAPE, make_arm

from metrics import frames as frame_protocol
from metrics.base import Frames
from poc.generate import _clip
from poc.records import ClipRequest, ClipStatus

ARM = make_arm()
REQUEST = ClipRequest(id="c", arm_id=ARM.id, prompt_id="p", replicate=0, seed=1)
SIZE = (SHAPE.num_frames, SHAPE.height, SHAPE.width, 3)
GOOD: Frames = np.random.default_rng(0).integers(0, 256, SIZE, dtype=np.uint8)


def test_a_good_clip_is_ok_and_kept_with_its_digest_and_a_copy_to_look_at() -> None:
    made = _clip(REQUEST, ARM, GOOD, finite=True)

    assert (made.result.status, made.result.reason) == (ClipStatus.OK, "")
    assert made.result.frames_digest == frame_protocol.digest(GOOD)
    assert made.view.startswith(b"\x1aE\xdf\xa3")  # how WebM begins


def test_nan_makes_a_clip_invalid_however_good_its_pixels_look() -> None:
    # A cast to pixels has hidden the NaN by now; the pipeline says that it was there.
    made = _clip(REQUEST, ARM, GOOD, finite=False)

    assert made.result.status is ClipStatus.INVALID
    assert "NaN" in made.result.reason
    assert made.frames is not None


@pytest.mark.parametrize(
    ("spoilt", "reason"),
    [
        (np.zeros_like(GOOD), "no frame has visible light"),
        (np.full_like(GOOD, 255), "blown out"),
        (np.repeat(GOOD[:1], len(GOOD), axis=0), "are the same"),
        (GOOD[:-1], f"got {SHAPE.num_frames - 1} of"),
        (GOOD[:, ::2, ::2], f"got {SHAPE.num_frames} of {SHAPE.width // 2}x{SHAPE.height // 2}"),
    ],
)
def test_what_is_no_clip_is_invalid_with_its_reason_and_kept_to_be_looked_at(
    spoilt: Frames, reason: str
) -> None:
    made = _clip(REQUEST, ARM, spoilt, finite=True)

    assert made.result.status is ClipStatus.INVALID
    assert reason in made.result.reason
    assert made.frames is not None
