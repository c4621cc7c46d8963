"""KVD of contrasts and of two runs: paired over the clips that both have, else refused by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import small_run
from simulated_runs import STUDENT, arm, plan, teacher

from metrics.base import SetBasis
from poc.measure import Judges, reference_tasks, video_key
from poc.records import Comparison, Contrast, Plan, ReferenceSet
from poc.set_metrics import ArmSet, changes_between, contrast_differences
from poc.store import RunStore

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
    y, of_y = one.reference, one.reference_prompts or ()

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


@pytest.mark.parametrize(
    ("extractor", "named"), [("tiny-video", ()), ("mae", ("extractor mae @d",))]
)
def test_an_estimate_names_its_network_unless_it_is_the_one_that_ships(
    extractor: str, named: tuple[str, ...]
) -> None:
    own = arm_set(STUDENT, 1, range(8))
    seen = replace(own, basis=replace(own.basis, extractor=extractor))

    notes = seen.estimate("kvd", Comparison.VALUE, reason="none").notes
    assert notes == ("against 20 clips of clean", *named)


def test_a_contrast_that_asks_for_no_set_metric_gets_none() -> None:
    quiet = ASKED.model_copy(update={"metrics": ("clip_score",)})
    asked = plan(ARMS, prompts=8, contrasts=(quiet,))
    sets = {STUDENT: arm_set(STUDENT, 1, range(8)), CONTROL: arm_set(CONTROL, 2, range(8))}

    assert contrast_differences(asked, sets) == ((),)


# --- two runs ------------------------------------------------------------------------------------

JUDGES = Judges(Path("none"), Path("none"), "d" * 64, Path("none"))
CLEAN = ReferenceSet(name="clean", kind="rendered", style=None, count=20, seed=1)


def stored(path: Path, seed: int, judges: Judges = JUDGES, reference: ReferenceSet = CLEAN) -> Path:
    """Write a run of eight prompts whose clips have features of four numbers; returns its path."""
    small: Plan = small_run.plan(prompts=8)
    asked = {"metrics": ("clip_score", "kvd"), "references": (reference,)}
    made = small.model_copy(update={"spec": small.spec.model_copy(update=asked)})
    rng = np.random.default_rng(seed)
    with small_run.open_store(path, made) as store:
        for one in made.arms:
            store.append_resolved(small_run.resolved(one))
        for batch in made.batches:
            small_run.publish(store, batch)
            for clip in batch.clips:
                store.write_features(clip.id, {video_key(judges): rng.normal(0.1 * seed, 1.0, 4)})
        task = reference_tasks(made)[None]
        clean = np.random.default_rng(9).normal(0.0, 1.0, (20, 4))
        store.write_features(task.id, {video_key(judges): clean})
    return path


def features(store: RunStore, arm_id: str) -> ArmSet:
    """Return an arm's features as they were written, in the plan's order."""
    asked = [clip for b in store.plan.batches if b.arm_id == arm_id for clip in b.clips]
    return ArmSet(
        arm=next(a for a in store.plan.arms if a.id == arm_id),
        features=np.stack([store.read_features(clip.id)[video_key(JUDGES)] for clip in asked]),
        clips=tuple((clip.prompt_id, 0) for clip in asked),
        reference=np.random.default_rng(9).normal(0.0, 1.0, (20, 4)),
        reference_prompts=tuple(f"p{n % 8}" for n in range(20)),
        planned=8,
        basis=SetBasis(
            n=8, reference_n=20, dimension=4, reference="clean",
            protocol="p", extractor="e", extractor_digest="d",
        ),
    )  # fmt: skip


def runs(head: Path, base: Path) -> tuple[RunStore, RunStore]:
    return RunStore.open_reader(head), RunStore.open_reader(base)


def test_two_runs_are_compared_arm_by_arm_as_difference_and_as_ratio(tmp_path: Path) -> None:
    head, base = runs(stored(tmp_path / "head", 3), stored(tmp_path / "base", 2))
    found = {(one.arm_id, one.comparison): one for one in changes_between(head, base, JUDGES)}

    assert len(found) == 2 * len(head.plan.arms)
    for arm_id in (one.id for one in head.plan.arms):
        own, other = (kvd(features(store, arm_id), 0) for store in (head, base))
        difference = found[arm_id, Comparison.DIFFERENCE]
        assert difference.value == pytest.approx(own - other)
        assert (difference.n_prompts, difference.n_missing) == (8, 0)
        ratio = found[arm_id, Comparison.RATIO]
        assert ratio.value is None or ratio.value == pytest.approx(own / other)


def test_a_run_against_an_equal_one_has_not_changed(tmp_path: Path) -> None:
    head, base = runs(stored(tmp_path / "head", 2), stored(tmp_path / "base", 2))
    found = [o for o in changes_between(head, base, JUDGES) if o.comparison is not Comparison.RATIO]

    assert [(one.value, one.low, one.high) for one in found] == [(0.0, 0.0, 0.0)] * 2


def test_features_of_another_network_are_not_compared_by_name(tmp_path: Path) -> None:
    other = Judges(Path("none"), Path("none"), "e" * 64, Path("none"))
    head, base = runs(stored(tmp_path / "head", 2), stored(tmp_path / "base", 2, other))
    found = changes_between(head, base, JUDGES)

    assert {one.value for one in found} == {None}
    assert all(one.reason.startswith("not comparable with ") for one in found)
    assert all(f"video_{'e' * 16} -> video_{'d' * 16}" in one.reason for one in found)


def test_another_reference_set_is_not_compared_by_name(tmp_path: Path) -> None:
    fresh = CLEAN.model_copy(update={"seed": 2})
    made = stored(tmp_path / "head", 2, reference=fresh), stored(tmp_path / "base", 2)
    found = changes_between(*runs(*made), JUDGES)

    assert {one.value for one in found} == {None}
    assert all("reference: clean@" in one.reason for one in found)
