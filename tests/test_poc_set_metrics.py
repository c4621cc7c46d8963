"""KVD of contrasts: paired over the clips that both arms have, refused where nothing compares."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from simulated_runs import STUDENT, arm, plan, teacher

from metrics.base import SetBasis
from poc.records import Comparison, Contrast
from poc.set_metrics import ArmSet, contrast_differences

CONTROL = "control-4"
ARMS = (teacher(), arm(STUDENT), arm(CONTROL))
ASKED = Contrast(
    arm=STUDENT, against=CONTROL, metrics=("kvd",), question="Is it worth it?", question_ja="効果"
    "はあるか",
)  # fmt: skip
PLAN = plan(ARMS, prompts=8, contrasts=(ASKED,))


def arm_set(arm_id: str, seed: int, prompts: range, reference: str = "clean") -> ArmSet:
    rng = np.random.default_rng(seed)
    return ArmSet(
        arm=next(a for a in ARMS if a.id == arm_id),
        features=rng.normal(0.1 * seed, 1.0, (len(prompts), 4)),
        clips=tuple((f"p{n:04}", 0) for n in prompts),
        reference=np.random.default_rng(9).normal(0.0, 1.0, (20, 4)),
        reference_prompts=tuple(f"p{n % 8:04}" for n in range(20)),
        planned=8,
        basis=SetBasis(
            n=len(prompts), reference_n=20, dimension=4, reference=reference,
            protocol="p", extractor="e", extractor_digest="d",
        ),
    )  # fmt: skip


def kvd(one: ArmSet, first: int) -> float:
    """Cubic MMD of the clips from `first` on, pair by pair, over pairs of different prompts."""
    x, of_x = one.features[first:], [prompt for prompt, _ in one.clips][first:]
    y, of_y = one.reference, one.reference_prompts

    def k(a: np.ndarray, b: np.ndarray) -> float:
        return float((a @ b / 4 + 1) ** 3)

    def mean(p: np.ndarray, q: np.ndarray, of_p: Sequence[str], of_q: Sequence[str]) -> float:
        return float(
            np.mean(
                [
                    k(a, b)
                    for a, i in zip(p, of_p, strict=True)
                    for b, j in zip(q, of_q, strict=True)
                    if i != j
                ]
            )
        )

    return mean(x, x, of_x, of_x) + mean(y, y, of_y, of_y) - 2 * mean(x, y, of_x, of_y)


def test_the_difference_stands_on_the_clips_that_both_arms_have() -> None:
    own, other = arm_set(STUDENT, 1, range(8)), arm_set(CONTROL, 2, range(2, 8))
    ((found,),) = contrast_differences(PLAN, {STUDENT: own, CONTROL: other})
    expected = kvd(own, 2) - kvd(other, 0)

    assert found.value == pytest.approx(expected)
    assert (found.arm_id, found.comparison) == (STUDENT, Comparison.DIFFERENCE)
    assert (found.n_clips, found.n_prompts, found.n_missing) == (6, 6, 2)
    assert found.low is not None


def test_arms_with_other_references_are_not_compared() -> None:
    own = arm_set(STUDENT, 1, range(8))
    other = arm_set(CONTROL, 2, range(8), reference="pastel")
    ((found,),) = contrast_differences(PLAN, {STUDENT: own, CONTROL: other})

    assert found.value is None
    assert found.reason.startswith(f"not comparable with {CONTROL}: reference")


def test_an_arm_without_features_leaves_a_reason() -> None:
    ((found,),) = contrast_differences(
        PLAN, {STUDENT: arm_set(STUDENT, 1, range(8)), CONTROL: None}
    )

    assert (found.value, found.comparison) == (None, Comparison.DIFFERENCE)
    assert found.reason.startswith(f"{CONTROL}: fewer than 2 clips")


def test_a_contrast_that_asks_for_no_set_metric_gets_none() -> None:
    quiet = ASKED.model_copy(update={"metrics": ("clip_score",)})
    asked = plan(ARMS, prompts=8, contrasts=(quiet,))
    sets = {STUDENT: arm_set(STUDENT, 1, range(8)), CONTROL: arm_set(CONTROL, 2, range(8))}

    assert contrast_differences(asked, sets) == ((),)
