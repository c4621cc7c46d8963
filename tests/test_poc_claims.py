"""Laws of published claims: what an interval may confirm, what it may not, and the speed split."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from simulated_runs import BASELINE, STUDENT, arm, teacher

from poc.claims import ClaimResult, ClaimsReport, ClaimStatus, weigh
from poc.claims_file import (
    CLAIMS,
    Claim,
    ClaimLook,
    ClaimsFile,
    ClaimTest,
    Condition,
    Conditions,
    How,
    read_claims,
)
from poc.claims_table import WIDTH, claims_text
from poc.errors import InputError
from poc.latency_estimates import DENOISE, LATENCY
from poc.records import (
    Arm,
    ArmSummary,
    Comparison,
    ContrastEstimates,
    ContrastResult,
    Counts,
    Estimate,
    Estimates,
    Standing,
)
from poc.speed_split import split
from poc.table import columns

DEMO = Path("reports/baselines/demo/estimates.json")
ABLATIONS = Path("reports/baselines/ablations")
OF_ABLATIONS = {
    "decoupling-pays": "ablation-consistency",
    "rough-video-suffices": "ablation-motion-videos",
}
"""Claims whose arms the default sweep lacks, by the run that has them."""
SAYS_NOTHING = Conditions(
    device=None, dtype=None, model=None, frames=None, pixels=None, nfe=None, baseline_nfe=None,
    latency=None, measure=None, measure_ja=None,
)  # fmt: skip


def a_test(**changes: Any) -> ClaimTest:
    """A difference in CLIP score to the baseline that must lie above 0."""
    fields: dict[str, Any] = {
        "metric": "clip_score", "how": How.DIFFERENCE, "arms": STUDENT, "styled": False,
        "against": None, "above": 0.0, "below": None,
    }  # fmt: skip
    return ClaimTest(**(fields | changes))


def a_claim(*tests: ClaimTest, **changes: Any) -> Claim:
    fields: dict[str, Any] = {
        "id": "it-is-better", "label": "It is better", "label_ja": "より良い",
        "text": "It is better.", "text_ja": "より良い。", "source": "a paper, v1",
        "published": (), "conditions": SAYS_NOTHING, "must_match": (),
        "tests": tests or (a_test(),), "untestable": None, "untestable_ja": None,
    }  # fmt: skip
    return Claim(**(fields | changes))


def an_estimate(
    value: float | None, low: float | None, high: float | None, **changes: Any
) -> Estimate:
    fields: dict[str, Any] = {
        "arm_id": STUDENT, "metric": "clip_score", "comparison": Comparison.DIFFERENCE,
        "value": value, "low": low, "high": high, "level": 0.95, "method": "by hand",
        "n_clips": 60, "n_prompts": 60, "n_missing": 0, "reason": "",
    }  # fmt: skip
    return Estimate(**(fields | changes))


def ratio(low: float, value: float, high: float, metric: str = DENOISE) -> Estimate:
    return an_estimate(
        value, low, high, metric=metric, comparison=Comparison.RATIO, n_clips=7, n_prompts=7
    )


def estimates(
    *found: Estimate, arms: tuple[Arm, ...] = (), contrasts: tuple[ContrastEstimates, ...] = ()
) -> Estimates:
    """A run of the teacher, the student and what else is given; estimates go by their arm."""
    counts = Counts(planned=60, ok=60, failed=0, invalid=0, pending=0)
    return Estimates(
        format_version=1, plan_digest="0" * 64, baseline_id=BASELINE, level=0.95, resamples=2000,
        quality_metric="clip_score", complete=True, closed_reason=None, contrasts=contrasts,
        arms=tuple(
            ArmSummary(
                arm=one, counts=counts, estimates=tuple(e for e in found if e.arm_id == one.id),
                on_pareto_front=None, frontier_frequency=None,
            )
            for one in (teacher(), arm(STUDENT), *arms)
        ),
    )  # fmt: skip


def weighed(run: Estimates, *claims: Claim, devices: tuple[str, ...] = ("cpu",)) -> ClaimsReport:
    file = ClaimsFile(version=1, claims=claims or (a_claim(),))
    return weigh(file, run, kind="procurement", devices=devices)


def result(run: Estimates, claim: Claim | None = None) -> ClaimResult:
    return weighed(run, claim or a_claim()).claims[0]


# --- beside the tests ---------------------------------------------------------------------------


def a_look(**changes: Any) -> ClaimLook:
    fields: dict[str, Any] = {
        "metric": "kvd", "how": How.VALUE, "arms": STUDENT, "styled": False, "against": None,
    }  # fmt: skip
    return ClaimLook(**(fields | changes))


def test_a_number_beside_the_tests_is_told_and_decides_nothing() -> None:
    better = an_estimate(0.2, 0.1, 0.4)
    other = an_estimate(9.0, 8.0, 9.5, metric="kvd", comparison=Comparison.VALUE)
    claim = a_claim(beside=(a_look(),))
    found = result(estimates(better, other), claim)

    assert found.status is ClaimStatus.CONFIRMED
    (one,) = found.beside
    assert (one.metric, one.arm, one.against) == ("kvd", STUDENT, None)
    assert (one.figure.value, one.figure.low, one.figure.high) == (9.0, 8.0, 9.5)
    assert "beside: kvd" in claims_text(weighed(estimates(better, other), claim))


@pytest.mark.parametrize(
    "changes",
    [{"metric": "flicker"}, {"arms": "nobody"}, {"how": How.DIFFERENCE, "against": "nobody"}],
)
def test_what_a_run_does_not_have_beside_the_tests_is_left_out(changes: dict[str, Any]) -> None:
    run = estimates(an_estimate(0.2, 0.1, 0.4))
    found = result(run, a_claim(beside=(a_look(**changes),)))

    assert (found.status, found.beside) == (ClaimStatus.CONFIRMED, ())


# --- an interval and a line ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.1, 0.4, ClaimStatus.CONFIRMED),
        (-0.4, -0.1, ClaimStatus.NOT_CONFIRMED),
        (-0.1, 0.4, ClaimStatus.OPEN),
        (0.0, 0.4, ClaimStatus.OPEN),
        (-0.4, 0.0, ClaimStatus.OPEN),
        (None, None, ClaimStatus.OPEN),
        (0.2, 0.2, ClaimStatus.OPEN),
    ],
)
def test_only_a_whole_interval_on_the_right_side_confirms(
    low: float | None, high: float | None, expected: ClaimStatus
) -> None:
    assert result(estimates(an_estimate(0.2, low, high))).status is expected


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.85, 1.1, ClaimStatus.CONFIRMED),
        (0.7, 1.1, ClaimStatus.OPEN),
        (0.9, 1.3, ClaimStatus.OPEN),
        (0.5, 0.7, ClaimStatus.NOT_CONFIRMED),
        (1.3, 1.5, ClaimStatus.NOT_CONFIRMED),
    ],
)
def test_a_window_wants_both_ends_inside(low: float, high: float, expected: ClaimStatus) -> None:
    one = an_estimate(1.0, low, high, comparison=Comparison.RATIO)
    claim = a_claim(a_test(how=How.RATIO, above=0.8, below=1.25))

    assert result(estimates(one), claim).status is expected


@pytest.mark.parametrize(
    "changes", [{"n_prompts": 14}, {"n_clips": 56, "n_missing": 4}], ids=["thin", "lost"]
)
def test_what_stands_on_too_little_confirms_nothing_and_says_why(changes: dict[str, int]) -> None:
    found = result(estimates(an_estimate(0.2, 0.1, 0.4, **changes)))

    assert found.status is ClaimStatus.OPEN
    assert "too little to say" in found.reasons[0].text_en


def test_rounds_are_the_sample_of_seconds_so_seven_prompts_are_no_flaw() -> None:
    claim = a_claim(a_test(metric=DENOISE, how=How.SPEED_UP, above=9.0))

    assert result(estimates(ratio(0.09, 0.1, 0.11)), claim).status is ClaimStatus.CONFIRMED


# --- several tests -------------------------------------------------------------------------------


def test_every_test_must_hold_and_one_that_does_not_is_enough() -> None:
    good, bad = an_estimate(0.2, 0.1, 0.4), an_estimate(0.2, 0.1, 0.4, metric="kvd")
    both = a_claim(a_test(), a_test(metric="kvd", above=None, below=0.0))

    assert result(estimates(good, bad), both).status is ClaimStatus.NOT_CONFIRMED
    assert result(estimates(good), both).status is ClaimStatus.NOT_TESTABLE
    assert result(estimates(bad), both).status is ClaimStatus.NOT_CONFIRMED


def test_every_arm_that_fits_the_pattern_is_tested_and_looks_for_its_own_style() -> None:
    styled = tuple(arm(f"fast-{style}-4", style=style) for style in ("pastel", "neon"))
    claim = a_claim(a_test(metric="style_similarity[{style}]", arms="fast-*-4", styled=True))
    found = [
        an_estimate(0.2, low, 0.4, arm_id=f"fast-{style}-4", metric=f"style_similarity[{style}]")
        for style, low in (("pastel", 0.1), ("neon", -0.1))
    ]
    one = result(estimates(*found, arms=styled), claim)

    assert [(r.arm, r.status) for r in one.results] == [
        ("fast-pastel-4", ClaimStatus.CONFIRMED),
        ("fast-neon-4", ClaimStatus.OPEN),
    ]
    assert one.status is ClaimStatus.OPEN


def test_a_difference_to_another_arm_is_the_contrast_that_the_spec_asked_for() -> None:
    control = arm("control-4")
    contrast = ContrastEstimates(
        arm_id=STUDENT, against_id="control-4", question="Is it better?", question_ja="良いか",
        results=(
            ContrastResult(estimate=an_estimate(0.2, 0.1, 0.4), standing=Standing.BETTER),
        ),
    )  # fmt: skip
    against_baseline = an_estimate(-0.2, -0.4, -0.1)
    claim = a_claim(a_test(against="control-4"))

    asked = result(estimates(against_baseline, arms=(control,), contrasts=(contrast,)), claim)
    not_asked = result(estimates(against_baseline, arms=(control,)), claim)
    assert (asked.status, asked.results[0].figure.low) == (ClaimStatus.CONFIRMED, 0.1)
    assert not_asked.status is ClaimStatus.NOT_TESTABLE
    assert not_asked.results[0].figure.value is None


# --- what cannot be tested -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("test", "reason"),
    [
        (a_test(arms="nobody-4"), "no such arm: nobody-4"),
        (a_test(against="nobody-4"), "no such arm: nobody-4"),
        (a_test(styled=True), f"no such arm: {STUDENT}"),
        (a_test(metric="kvd"), "no estimate of kvd"),
    ],
)
def test_what_a_run_lacks_is_named_and_not_taken_for_a_failure(
    test: ClaimTest, reason: str
) -> None:
    found = result(estimates(an_estimate(0.2, 0.1, 0.4)), a_claim(test))

    assert found.status is ClaimStatus.NOT_TESTABLE
    assert reason in found.reasons[0].text_en


def test_an_estimate_without_a_value_is_not_testable_and_hands_its_reason_on() -> None:
    found = result(estimates(an_estimate(None, None, None, reason="no clip has a value")))

    assert found.status is ClaimStatus.NOT_TESTABLE
    assert "no clip has a value" in found.reasons[0].text_en
    assert "no clip has a value" in found.reasons[0].text_ja


def test_without_the_published_conditions_our_number_stands_there_with_no_verdict() -> None:
    said = SAYS_NOTHING.model_copy(update={"nfe": 4, "baseline_nfe": 100})
    test = a_test(metric=DENOISE, how=How.SPEED_UP, above=9.0)
    run = estimates(ratio(0.09, 0.1, 0.11))
    strict = result(run, a_claim(test, conditions=said, must_match=(Condition.NFE,)))
    loose = result(run, a_claim(test, conditions=said))

    assert strict.status is ClaimStatus.NOT_TESTABLE
    assert strict.results[0].figure.value == pytest.approx(10.0)
    assert "theirs 4/100; ours 4/50" in strict.reasons[0].text_en
    assert loose.status is ClaimStatus.CONFIRMED
    assert [d.condition for d in loose.differs] == [Condition.NFE]


def test_a_claim_without_tests_says_why() -> None:
    claim = a_claim(
        tests=(), untestable="nobody has voted", untestable_ja="人の評価がない",
        needed="votes of people", needed_ja="人の評価",
    )  # fmt: skip
    found = result(estimates(an_estimate(0.2, 0.1, 0.4)), claim)

    assert found.status is ClaimStatus.NOT_TESTABLE
    assert [r.text_ja for r in found.reasons] == ["人の評価がない"]


# --- what differs --------------------------------------------------------------------------------


def test_what_is_as_published_does_not_differ_and_what_is_not_does() -> None:
    theirs = Conditions(
        device="A800", dtype="float16", model="Stable Diffusion 1.5", frames=16, pixels=512,
        nfe=4, baseline_nfe=50, latency="denoise", measure="FVD", measure_ja="FVD",
    )  # fmt: skip
    ours = Conditions(
        device="A800", dtype="float32", model="base", frames=16, pixels=64,
        nfe=4, baseline_nfe=50, latency="whole", measure=None, measure_ja=None,
    )  # fmt: skip
    test = a_test(metric=LATENCY, how=How.SPEED_UP, above=9.0)
    run = estimates(ratio(0.09, 0.1, 0.11, LATENCY))
    report = weighed(
        run,
        a_claim(test, conditions=theirs),
        a_claim(test, conditions=ours),
        devices=("NVIDIA A800-SXM4-80GB",),
    )
    elsewhere = weighed(run, a_claim(test, conditions=ours), devices=("a laptop",))

    assert [d.condition for d in report.claims[0].differs] == [
        Condition.DTYPE,
        Condition.MODEL,
        Condition.CLIP,
        Condition.LATENCY,
        Condition.MEASURE,
    ]
    assert report.claims[1].differs == ()
    assert [d.said.text_en for d in elsewhere.claims[0].differs] == [
        "device: theirs A800; ours a laptop"
    ]


@pytest.mark.parametrize(
    ("adapter", "said"), [("tiny-motion-animatelcm", True), ("tiny-motion-stage2", False)]
)
def test_training_that_the_paper_does_not_have_is_a_difference(adapter: str, said: bool) -> None:
    run = estimates(an_estimate(0.2, 0.1, 0.4))
    student = run.arms[1].arm.model_copy(update={"motion_adapter": adapter})
    arms = (run.arms[0], run.arms[1].model_copy(update={"arm": student}))

    found = result(run.model_copy(update={"arms": arms}))

    assert (Condition.TRAINING in {one.condition for one in found.differs}) is said


def test_a_demonstration_says_first_that_this_is_the_tiny_world() -> None:
    file = ClaimsFile(version=1, claims=(a_claim(),))
    run = estimates(an_estimate(0.2, 0.1, 0.4))
    tiny = weigh(file, run, kind="demonstration", devices=("cpu",))

    assert tiny.claims[0].differs[0].condition is Condition.WORLD
    assert "tiny world, not at real size" in claims_text(tiny).splitlines()[0]
    assert "tiny world" not in claims_text(weighed(run))


# --- where the speed comes from ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "guidance", "expected"), [(4, 1.0, (6.25, 2.0)), (3, 7.5, (25 / 3, 1.0))]
)
def test_the_parts_of_a_speed_up_give_its_measured_ratio(
    steps: int, guidance: float, expected: tuple[float, float]
) -> None:
    fast = arm(STUDENT, steps=steps, guidance=guidance)
    one = split(fast, teacher(), ratio(0.09, 0.1, 0.12), ratio(0.15, 0.2, 0.22, LATENCY))

    assert (one.steps, one.guidance) == pytest.approx(expected, rel=1e-15)
    for whole, rest, seconds in (
        (one.denoise, one.denoise_rest, (0.1, 0.12, 0.09)),
        (one.whole, one.whole_rest, (0.2, 0.22, 0.15)),
    ):
        for total, part, second in zip(
            (whole.value, whole.low, whole.high),
            (rest.value, rest.low, rest.high),
            seconds,
            strict=True,
        ):
            assert total is not None
            assert part is not None
            assert total == 1 / second
            assert one.steps * one.guidance * part == pytest.approx(1 / second, rel=1e-15)


def test_against_an_unguided_baseline_nothing_is_saved_by_no_guidance() -> None:
    unguided = teacher().model_copy(update={"guidance": 1.0})
    seconds = ratio(0.09, 0.1, 0.12)

    assert split(arm(STUDENT), unguided, seconds, seconds).guidance == 1.0
    assert split(arm(STUDENT, guidance=2.0), unguided, seconds, seconds).guidance == 0.5


def test_an_untimed_run_has_no_split_and_says_so() -> None:
    report = weighed(estimates(an_estimate(0.2, 0.1, 0.4)))

    assert report.splits == ()
    assert claims_text(report).endswith("speed-up: not measured in this run")


def test_time_that_follows_evaluations_is_one() -> None:
    claim = a_claim(a_test(metric=DENOISE, how=How.SPEED_UP_PER_NFE, above=0.9))
    found = result(estimates(ratio(0.075, 0.08, 0.085)), claim)

    # 50 evaluations against 4: where each takes as long, the ratio of seconds is 0.08.
    assert found.results[0].figure.value == pytest.approx(1.0)


# --- the shipped claims --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def demo() -> Estimates:
    return Estimates.from_json(DEMO.read_text("utf-8"))


def shipped(run: Estimates) -> ClaimsReport:
    return weigh(read_claims(), run, kind="demonstration", devices=("cpu",))


def test_every_shipped_claim_is_answered_by_the_committed_run_or_says_why_not(
    demo: Estimates,
) -> None:
    claims = shipped(demo).claims
    for found in claims:
        assert found.reasons or found.status in (ClaimStatus.CONFIRMED, ClaimStatus.NOT_CONFIRMED)
    unmeasured = [c for c in claims if any(one.figure.value is None for one in c.results)]

    assert {c.claim.id for c in unmeasured} == set(OF_ABLATIONS)
    assert {c.status for c in unmeasured} == {ClaimStatus.NOT_TESTABLE}


@pytest.mark.parametrize(("claim", "ablation"), OF_ABLATIONS.items())
def test_a_claim_without_an_arm_in_the_sweep_is_answered_by_its_ablation(
    claim: str, ablation: str
) -> None:
    run = Estimates.from_json((ABLATIONS / f"{ablation}.estimates.json").read_text("utf-8"))
    (found,) = (one for one in shipped(run).claims if one.claim.id == claim)

    assert all(one.figure.value is not None for one in found.results)
    assert found.status is not ClaimStatus.NOT_TESTABLE


def test_the_published_speed_up_is_the_ratio_of_the_published_times() -> None:
    claim = next(c for c in read_claims().claims if c.id == "denoising-24x")
    speed_up, fast, slow = (one.value for one in claim.published)

    assert speed_up == pytest.approx(slow / fast, abs=0.005)
    assert claim.tests[0].above == speed_up


def test_no_claim_is_confirmed_whose_contrast_is_not_shown_to_be_better(demo: Estimates) -> None:
    names = {summary.arm.id: summary.arm.name for summary in demo.arms}
    better = {
        (names[contrast.arm_id], names[contrast.against_id], result.estimate.metric)
        for contrast in demo.contrasts
        for result in contrast.results
        if result.standing is Standing.BETTER
    }
    comparing = ("better-than-ddim", "better-than-dpmpp", "one-step-breaks")
    found = {one.claim.id: one for one in shipped(demo).claims if one.claim.id in comparing}
    shown = {
        key: all((r.arm, r.against, r.metric) in better for r in one.results)
        for key, one in found.items()
    }

    assert {key for key, one in found.items() if one.status is ClaimStatus.CONFIRMED} == {
        key for key, all_better in shown.items() if all_better
    }
    assert better
    assert False in shown.values()


def test_the_block_fits_its_columns_and_is_about_every_claim(demo: Estimates) -> None:
    text = claims_text(shipped(demo))

    assert max(columns(line) for line in text.splitlines()) <= WIDTH
    assert not any("~" in line for line in text.splitlines())
    assert all(claim.label in text for claim in read_claims().claims)


def _broken(folder: Path, old: str, new: str) -> Path:
    text = CLAIMS.read_text("utf-8")
    assert old in text
    path = folder / "claims.yaml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return path


def _faults() -> Iterator[tuple[str, str, str]]:
    yield "metric: latency_denoise_p50_s", "metric: latency_denoise", "unknown metric"
    yield "id: ten-times-and-more", "id: denoising-24x", "two claims are called 'denoising-24x'"
    yield "above: 24.47\n", "above: null\n", "give 'above', 'below' or both"
    yield "must_match: [nfe]", "must_match: [weather]", "one of"
    yield "    untestable: null\n", "    untestable: no time\n", "not both"
    yield "    needed: votes of", "    # needed: votes of", "'needed' and 'needed_ja' go with"
    yield "    untestable: null\n", "    untestable: null\n    needed: time\n", "go with"
    yield "how: speed_up\n", "how: faster\n", "one of"


@pytest.mark.parametrize(("old", "new", "says"), list(_faults()))
def test_a_fault_in_the_file_is_named_with_its_line(
    tmp_path: Path, old: str, new: str, says: str
) -> None:
    with pytest.raises(InputError, match=r"claims\.yaml:\d+: ") as error:
        read_claims(_broken(tmp_path, old, new))

    assert says in str(error.value)
