"""What is done today stands beside the baseline: every candidate of its style meets it."""

from __future__ import annotations

from pathlib import Path

import pytest
import simulated_runs as sim

from poc.decide import decide
from poc.errors import InputError
from poc.records import Arm, ArmRole, Contrast, Decision
from poc.spec import read_spec

SPECS = Path("poc/specs").resolve()
TODAY = """
  - name: today
    role: control
    family: animatediff
    base: tiny-base
    motion_adapter: tiny-motion-teacher
    scheduler: ddim
    steps: 4
    guidance: 1.0
    negative_prompt: ""
    loras: []
    style: null

metrics:
"""


def written(folder: Path, *changes: tuple[str, str], name: str = "today") -> Path:
    """Return the quick spec with an arm of today that it names, and further changes."""
    text = (SPECS / "quick.yaml").read_text("utf-8")
    named = ("baseline: teacher-2", f"baseline: teacher-2\nstatus_quo: {name}")
    first = (named, ("\nmetrics:\n", TODAY), ("criteria: ", f"criteria: {SPECS}/"))
    for old, new in (*first, *changes):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path = folder / "spec.yaml"
    path.write_text(text, "utf-8")
    return path


def test_every_candidate_is_compared_with_what_is_done_today(tmp_path: Path) -> None:
    added = read_spec(written(tmp_path)).contrasts[1:]

    assert [(one.arm, one.against) for one in added] == [
        ("animatelcm-1", "today"),
        ("animatelcm-2", "today"),
    ]
    assert {one.metrics for one in added} == {("oracle_all", "oracle_motion", "clip_score")}


def test_a_comparison_that_the_spec_asks_for_itself_stays_as_it_is(tmp_path: Path) -> None:
    own = ("against: animatelcm-1", "against: today")

    found = read_spec(written(tmp_path, own)).contrasts

    assert [(one.arm, one.against) for one in found] == [
        ("animatelcm-2", "today"),
        ("animatelcm-1", "today"),
    ]
    assert found[0].metrics == ("kvd", "oracle_all")


def test_without_one_nothing_is_added() -> None:
    assert len(read_spec(SPECS / "quick.yaml").contrasts) == 1


@pytest.mark.parametrize(
    ("name", "changes", "what"),
    [
        ("todai", (), "'status_quo': no arm is called 'todai'. Did you mean 'today'"),
        ("teacher-2", (), "is the baseline already"),
        ("animatelcm-1", (), "is a candidate"),
        (
            "today",
            (
                ("  - oracle_all\n", ""),
                ("  - oracle_motion\n", ""),
                ("  - clip_score\n", ""),
                ("metrics: [kvd, oracle_all]", "metrics: [kvd]"),
            ),
            "nothing to compare by",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused(
    tmp_path: Path, name: str, changes: tuple[tuple[str, str], ...], what: str
) -> None:
    with pytest.raises(InputError, match=what):
        read_spec(written(tmp_path, *changes, name=name))


# --- what a decision says ------------------------------------------------------------------------


def against(gain: float, metrics: tuple[str, ...] = ("clip_score",)) -> Decision:
    """Decide a run whose student has so much more CLIP score than what is done today."""

    def score(arm: Arm, prompt: int, _replicate: int) -> float:
        own = {sim.STUDENT: gain, "today": 0.0}.get(arm.id, 0.0)
        return 30 + sim.noise(prompt) + own + 0.02 * sim.noise(arm.id, prompt)

    contrast = Contrast(
        arm=sim.STUDENT,
        against="today",
        metrics=metrics,
        question="Is it better than today?",
        question_ja="現状より良いか。",
    )
    arms = (sim.teacher(), sim.arm(sim.STUDENT), sim.arm("today", role=ArmRole.CONTROL, steps=8))
    made = sim.plan(arms, prompts=30, contrasts=(contrast,), status_quo="today")
    result = sim.run(made, {"clip_score": score})
    found, draws = result.evidence()
    return decide(made, found, made.criteria, draws)


@pytest.mark.parametrize(
    ("gain", "said", "ja"),
    [
        (1.0, "is: better in CLIP score", "は優れる"),
        (-0.08, "is: worse in CLIP score", "は劣る"),
    ],
)
def test_a_decision_says_how_the_chosen_arm_stands_to_today(
    gain: float, said: str, ja: str
) -> None:
    reasons = against(gain).reasons
    (one,) = [r for r in reasons if "done today (today)" in r.text_en]

    assert said in one.text_en
    assert ja in one.text_ja


def test_what_was_not_measured_shows_no_difference() -> None:
    reasons = against(1.0, ("clip_score", "oracle_all")).reasons
    (one,) = [r.text_en for r in reasons if "done today (today)" in r.text_en]

    assert "better in CLIP score; no difference shown in" in one
