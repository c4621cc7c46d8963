"""Laws of the decision: every gate that passes, and its twin that must not."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pytest
from scipy import stats
from simulated_runs import (
    BASELINE,
    LATENCY_SPEC,
    STUDENT,
    Run,
    arm,
    criteria_file,
    criterion,
    lose,
    noise,
    plan,
    run,
    teacher,
    timed,
)

from poc.decide import Price, PriceAnswer, decide
from poc.front import find
from poc.lights import EXIT_CODES, ORDER, exit_code, worst
from poc.next_measurement import sample_need
from poc.outcomes import Draws
from poc.records import (
    Arm,
    ArmDecision,
    ArmRole,
    ClipStatus,
    Comparison,
    Contrast,
    CriteriaFile,
    Criterion,
    Decision,
    Estimate,
    Finding,
    Light,
    PriceBasis,
    SchedulerName,
    Verdict,
    Weight,
)
from poc.rights_light import CommercialUse, RightsAnswer
from poc.table import WIDTH, table
from poc.verdicts import judge, slack, verdict

PAIR = (teacher(), arm(STUDENT))

SPEED = criterion(
    name="speed",
    metric="latency_p50_s",
    comparison=Comparison.RATIO,
    direction="lower",
    target=0.2,
    minimum=0.4,
)
SMOOTH = criterion(
    name="smooth", metric="flicker", comparison=Comparison.VALUE, target=0.9, minimum=0.8
)
MOTION = criterion(
    name="moves",
    metric="motion_extent_px",
    comparison=Comparison.RATIO,
    direction="window",
    centre=1.0,
    target=0.2231,
    minimum=0.4055,
)
QUALITY = criterion()


def centred(*key: Any, prompt: int) -> float:
    """Noise that cancels over each two prompts, so that a run's mean is the one asked for."""
    return noise(*key, prompt // 2) * (1 if prompt % 2 else -1)


def simulated(
    gain: float = 0.2,
    *,
    prompts: int = 64,
    spread: float = 0.2,
    motion: float = 1.0,
    criteria: CriteriaFile | None = None,
    arms: Sequence[Arm] = PAIR,
    rounds: int = 12,
    **spec: Any,
) -> Run:
    """A run whose students gain `gain` CLIP score over the teacher; seconds follow the NFE."""
    values = {
        "clip_score": lambda a, p, _r: (
            30 + noise(p) + (spread * centred(a.id, prompt=p) + gain if a.id != BASELINE else 0.0)
        ),
        "flicker": lambda a, p, _r: 0.95 + 0.001 * noise("flicker", a.id, p),
        "motion_extent_px": lambda a, p, _r: (
            (10 + noise("m", p)) * (1.0 if a.id == BASELINE else motion)
        ),
    }
    result = run(
        plan(arms, prompts=prompts, criteria=criteria, latency=LATENCY_SPEC, **spec), values
    )
    return timed(result, lambda a, r: a.sampling.nfe * (1 + 0.01 * abs(noise(r))), rounds=rounds)


def decided(
    result: Run,
    criteria: CriteriaFile | None = None,
    licences: dict[str, CommercialUse] | None = None,
    rights: RightsAnswer | None = None,
    price: Price | None = None,
    *,
    withdrawn: Collection[str] = (),
) -> Decision:
    estimates, draws = result.evidence()
    asked = criteria or result.plan.criteria
    return decide(
        result.plan, estimates, asked, draws, licences=licences, rights=rights, price=price,
        withdrawn=withdrawn,
    )  # fmt: skip


def by(*criteria: Criterion, withdrawn: Collection[str] = (), **changes: Any) -> Decision:
    """Decide a simulated run by these criteria, fixed before it."""
    return decided(simulated(criteria=criteria_file(*criteria), **changes), withdrawn=withdrawn)


def student(decision: Decision) -> ArmDecision:
    return next(a for a in decision.arms if a.arm_id == STUDENT)


def verdicts(decision: Decision) -> dict[str, Verdict]:
    return {r.criterion: r.verdict for r in student(decision).results}


def said(found: Sequence[Finding]) -> str:
    return " ".join(f.text_en for f in found)


# --- a verdict -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("minimum", "target", "expected"),
    [
        (0.95, 0.51, Verdict.PASS),
        (0.949, 0.51, Verdict.INCONCLUSIVE),
        (0.95, 0.50, Verdict.INCONCLUSIVE),
        (0.20, 0.0, Verdict.INCONCLUSIVE),
        (0.199, 0.0, Verdict.FAIL),
        (float("nan"), 0.9, Verdict.INCONCLUSIVE),
        (0.99, float("nan"), Verdict.INCONCLUSIVE),
    ],
)
def test_the_verdict_follows_the_shares(minimum: float, target: float, expected: Verdict) -> None:
    assert verdict(minimum, target) is expected


@pytest.mark.parametrize(
    ("gain", "expected"),
    [(0.2, Verdict.PASS), (-0.3, Verdict.FAIL), (-0.1, Verdict.INCONCLUSIVE)],
)
def test_quality_passes_fails_or_stays_open_with_the_true_difference(
    gain: float, expected: Verdict
) -> None:
    assert verdicts(by(QUALITY, gain=gain))["quality"] is expected


def test_between_minimum_and_target_nothing_passes_and_nothing_fails() -> None:
    decision = by(QUALITY.model_copy(update={"target": 0.5}), gain=0.2)

    result = student(decision).results[0]

    assert (result.minimum_attainment, result.target_attainment) == (1, 0)
    assert result.verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("motion", "expected"),
    [
        (1.0, Verdict.PASS),
        (0.85, Verdict.PASS),
        (1.2, Verdict.PASS),
        (0.5, Verdict.FAIL),
        (2.0, Verdict.FAIL),
        (0.75, Verdict.INCONCLUSIVE),
    ],
)
def test_a_window_has_two_sides(motion: float, expected: Verdict) -> None:
    assert verdicts(by(QUALITY, MOTION, motion=motion))["moves"] is expected


def test_a_windows_edges_on_a_ratio_are_reciprocal() -> None:
    narrow = MOTION.model_copy(update={"target": np.log(1.25), "minimum": np.log(1.25)})

    inside = slack(narrow, np.array([0.8001, 1.2499, 0.7999, 1.2501, 0.0, -1.0])).minimum >= 0

    assert inside.tolist() == [True, True, False, False, False, False]


def test_attainment_is_the_tail_of_t_below_fifteen_prompts() -> None:
    result = simulated(-0.05, prompts=8, spread=0.1)
    estimates, draws = result.evidence()
    own, base = (
        np.array(
            [m.value for m in result.measurements if (m.arm_id, m.metric) == (a, "clip_score")]
        )
        for a in (STUDENT, BASELINE)
    )
    expected = stats.ttest_1samp(own - base, -0.1, alternative="greater").pvalue

    found = judge(QUALITY, estimates.arms[1], draws)

    assert found.minimum_attainment == pytest.approx(1 - expected, abs=1e-3)


def test_one_prompt_never_passes_and_never_fails() -> None:
    for gain in (-50.0, 50.0):
        decision = by(QUALITY, gain=gain, prompts=1)

        assert verdicts(decision) == {"quality": Verdict.INCONCLUSIVE}
        assert student(decision).technical is Light.INSUFFICIENT_EVIDENCE


def test_a_metric_that_was_not_measured_is_inconclusive_by_name() -> None:
    decision = by(QUALITY.model_copy(update={"metric": "oracle_all"}))

    result = student(decision).results[0]

    assert result.verdict is Verdict.INCONCLUSIVE
    assert result.reason == "not measured: no difference of oracle_all"


def test_an_estimate_without_draws_is_judged_by_its_interval_and_says_so() -> None:
    estimates, draws = simulated(-0.05).evidence()

    exact, approximate = (judge(QUALITY, estimates.arms[1], d) for d in (draws, {}))

    assert approximate.minimum_attainment == pytest.approx(exact.minimum_attainment, abs=0.03)
    assert "approximation" in approximate.reason
    assert "approximation" not in exact.reason


def test_draws_that_are_not_numbers_are_inconclusive() -> None:
    estimates, _ = simulated().evidence()
    broken: Draws = {(STUDENT, "clip_score", Comparison.DIFFERENCE): np.array([1.0, np.nan])}

    result = judge(QUALITY, estimates.arms[1], broken)

    assert (result.verdict, result.minimum_attainment) == (Verdict.INCONCLUSIVE, None)


def fvd(value: float, *notes: str) -> Estimate:
    return Estimate(
        arm_id=STUDENT,
        metric="fvd",
        comparison=Comparison.VALUE,
        value=value,
        low=value - 1,
        high=value + 1,
        level=0.95,
        method="sub-sampling",
        n_clips=64,
        n_prompts=64,
        n_missing=0,
        reason="",
        notes=notes,
    )


FVD = criterion(
    name="fvd",
    metric="fvd",
    comparison=Comparison.VALUE,
    direction="lower",
    target=100.0,
    minimum=200.0,
)


@pytest.mark.parametrize(
    ("notes", "expected"),
    [((), Verdict.PASS), (("rank-deficient: n 16, d 32",), Verdict.INCONCLUSIVE)],
)
def test_a_rank_deficient_set_metric_enters_no_criterion(
    notes: tuple[str, ...], expected: Verdict
) -> None:
    result = simulated(criteria=criteria_file(QUALITY, FVD))
    result.set_estimates = [fvd(50.0, *notes)]

    assert verdicts(decided(result))["fvd"] is expected


# --- an arm's light ------------------------------------------------------------------------------


def test_go_needs_every_must() -> None:
    good = by(QUALITY, SPEED)
    slow = by(QUALITY, SPEED.model_copy(update={"minimum": 0.05, "target": 0.01}))
    unsure = by(QUALITY, SPEED, gain=-0.1)

    assert student(good).technical is Light.GO
    assert student(slow).technical is Light.NO_GO
    assert student(unsure).technical is Light.INSUFFICIENT_EVIDENCE


def test_a_should_that_fails_is_reported_and_blocks_nothing() -> None:
    decision = by(
        QUALITY, SPEED.model_copy(update={"minimum": 0.05, "target": 0.01, "weight": Weight.SHOULD})
    )

    assert verdicts(decision)["speed"] is Verdict.FAIL
    assert student(decision).technical is Light.GO


def test_speed_alone_carries_no_go() -> None:
    decision = by(SPEED)

    assert verdicts(decision) == {"speed": Verdict.PASS}
    assert student(decision).technical is Light.INSUFFICIENT_EVIDENCE
    assert "Speed never decides without quality" in said(decision.reasons)
    assert decision.next_measurement is not None
    assert "criterion on quality" in decision.next_measurement.text_en


def test_fvd_alone_carries_no_go() -> None:
    result = simulated(criteria=criteria_file(FVD))
    result.set_estimates = [fvd(50.0)]

    decision = decided(result)

    assert verdicts(decision) == {"fvd": Verdict.PASS}
    assert student(decision).technical is Light.INSUFFICIENT_EVIDENCE


def test_smoothness_counts_only_with_motion_that_passes() -> None:
    with_motion = by(QUALITY, SMOOTH, MOTION)
    without = by(QUALITY, SMOOTH)
    frozen = by(QUALITY, SMOOTH, MOTION, motion=0.1)

    assert verdicts(with_motion)["smooth"] is Verdict.PASS
    assert student(with_motion).technical is Light.GO
    assert verdicts(without)["smooth"] is Verdict.INCONCLUSIVE
    assert student(without).technical is Light.INSUFFICIENT_EVIDENCE
    assert without.next_measurement is not None
    assert "amount of motion" in without.next_measurement.text_en
    assert verdicts(frozen)["smooth"] is Verdict.INCONCLUSIVE
    assert student(frozen).technical is Light.NO_GO


def test_pending_clips_block_go() -> None:
    whole = simulated(criteria=criteria_file(QUALITY))
    open_ended = simulated(criteria=criteria_file(QUALITY))
    lose(open_ended, {f"{STUDENT}/p0007/0"}, ClipStatus.PENDING)

    decision = decided(open_ended)

    assert student(decided(whole)).technical is Light.GO
    assert verdicts(decision)["quality"] is Verdict.PASS
    assert student(decision).technical is Light.INSUFFICIENT_EVIDENCE
    assert "1 planned clip is pending" in said(decision.reasons)
    assert decision.next_measurement is not None
    assert decision.next_measurement.text_en == "Finish the run: clips to generate: 1."


def test_a_latency_pass_that_is_unfinished_blocks_go() -> None:
    decision = by(QUALITY, rounds=8)

    assert student(decision).technical is Light.INSUFFICIENT_EVIDENCE
    assert "unfinished" in said(decision.reasons)


def test_a_run_closed_early_says_why() -> None:
    result = simulated(criteria=criteria_file(QUALITY))
    lose(result, {f"{a}/p0007/0" for a in (STUDENT, BASELINE)}, ClipStatus.PENDING)
    result.closed_reason = "the machine was needed"

    decision = decided(result)

    assert "the machine was needed" in said(decision.reasons)
    assert student(decision).technical is Light.INSUFFICIENT_EVIDENCE


def test_invalid_clips_are_named() -> None:
    result = simulated(criteria=criteria_file(QUALITY))
    lose(result, {f"{STUDENT}/p0007/0"}, ClipStatus.INVALID)

    assert "1 clip of student-4 failed or came out invalid" in said(decided(result).reasons)


def test_criteria_are_asked_of_the_arms_they_apply_to() -> None:
    styled = arm("styled-4", style="ink")
    style = criterion(name="style", applies_to="styled")
    plain = criterion(name="plain", applies_to="unstyled")

    decision = by(style, plain, arms=(*PAIR, styled))
    names = {a.arm_id: [r.criterion for r in a.results] for a in decision.arms}

    assert names == {STUDENT: ["plain"], "styled-4": ["style"]}


def test_an_arm_that_nothing_is_asked_of_gets_no_go() -> None:
    decision = by(criterion(applies_to="styled"))

    assert student(decision).technical is Light.INSUFFICIENT_EVIDENCE
    assert "No must-criterion applies" in said(decision.reasons)


# --- the whole -----------------------------------------------------------------------------------


def test_the_cheapest_few_step_arm_with_the_best_light_is_recommended() -> None:
    arms = (*PAIR, arm("student-2", steps=2), arm("student-8", steps=8))

    assert by(QUALITY, arms=arms).recommended_arm_id == "student-2"


def test_a_recommended_arm_leads_by_what_it_was_chosen_by() -> None:
    arms = (*PAIR, arm("student-2", steps=2), arm("student-8", steps=8))
    swapped = {"student-2": 8.0, STUDENT: 4.0, "student-8": 2.0, BASELINE: 50.0}

    def seconds(one: Arm, rep: int) -> float:
        return swapped[one.id] * (1 + 0.01 * abs(noise(rep)))

    result = simulated(arms=arms, criteria=criteria_file(QUALITY))
    result.latencies.clear()
    quicker = decided(timed(result, seconds, rounds=12))

    assert quicker.recommended_arm_id == "student-8"
    assert "the fewest seconds per clip among those that do" in said(quicker.reasons)
    assert "network evaluations" not in said(quicker.reasons)


def test_an_arm_that_was_taken_out_of_the_run_is_neither_go_nor_recommended() -> None:
    arms = (*PAIR, arm("student-2", steps=2), arm("student-8", steps=8))

    decision = by(QUALITY, arms=arms, withdrawn={"student-2"})
    lights = {one.arm_id: one.technical for one in decision.arms}

    assert by(QUALITY, arms=arms).recommended_arm_id == "student-2"
    assert decision.recommended_arm_id == STUDENT
    assert (lights["student-2"], lights[STUDENT]) == (Light.INSUFFICIENT_EVIDENCE, Light.GO)
    alone = by(QUALITY, withdrawn={STUDENT, "an arm of no plan"})
    assert (alone.recommended_arm_id, alone.technical) == (None, Light.INSUFFICIENT_EVIDENCE)
    assert "taken out of this run for good" in said(alone.reasons)


def test_an_arm_that_costs_as_much_as_the_baseline_is_not_recommended() -> None:
    slow = arm("student-50", steps=50)

    decision = by(QUALITY, arms=(teacher(), slow))

    assert decision.recommended_arm_id is None
    assert decision.technical is Light.INSUFFICIENT_EVIDENCE
    assert decision.next_measurement is None


def test_nothing_is_recommended_when_every_arm_fails() -> None:
    decision = by(QUALITY, gain=-3.0)

    assert decision.recommended_arm_id is None
    assert (decision.technical, decision.decision) == (Light.NO_GO, Light.NO_GO)
    assert "Failed: quality" in said(decision.reasons)
    assert decision.next_measurement is None
    assert exit_code(decision.decision) == 1


def test_without_prices_a_technical_go_is_insufficient_evidence() -> None:
    decision = by(QUALITY)

    assert (decision.technical, decision.economic) == (Light.GO, Light.INSUFFICIENT_EVIDENCE)
    assert decision.decision is Light.INSUFFICIENT_EVIDENCE
    assert "no price was given" in said(decision.reasons)
    assert decision.next_measurement is not None
    assert "Give prices" in decision.next_measurement.text_en
    assert "Confirm student-4" in said(decision.conditions)


@pytest.mark.parametrize(
    ("uses", "expected", "why"),
    [
        (("permitted", "permitted"), Light.INSUFFICIENT_EVIDENCE, "were not looked at"),
        (("permitted", "unclear"), Light.INSUFFICIENT_EVIDENCE, "student-motion may be used"),
        (("permitted", None), Light.INSUFFICIENT_EVIDENCE, "student-motion may be used"),
        (("unclear", "forbidden"), Light.NO_GO, "forbidden for student-motion"),
    ],
)
@pytest.mark.parametrize("kind", ["demonstration", "procurement"])
def test_licences_alone_forbid_and_never_permit(
    kind: str, uses: tuple[CommercialUse | None, ...], expected: Light, why: str
) -> None:
    models = ("base", "student-motion")
    licences = {m: use for m, use in zip(models, uses, strict=True) if use is not None}

    decision = decided(simulated(criteria=criteria_file(QUALITY), kind=kind), licences=licences)

    assert decision.rights is expected
    assert says(decision, why)
    assert (decision.decision is Light.NO_GO) == (expected is Light.NO_GO)


def test_no_record_of_licences_is_no_evidence_and_a_strange_word_is_refused() -> None:
    assert by(QUALITY).rights is Light.INSUFFICIENT_EVIDENCE
    with pytest.raises(ValueError, match="'base' has 'yes'"):
        decided(simulated(), licences={"base": "yes"})  # type: ignore[dict-item]


def answer(light: Light, until: str | None, arm_id: str = STUDENT) -> RightsAnswer:
    return RightsAnswer({arm_id: light}, {arm_id: until}, digest="0" * 64, on="2026-12-01")


@pytest.mark.parametrize("kind", ["demonstration", "procurement"])
@pytest.mark.parametrize(
    ("light", "until", "expected"),
    [
        (Light.GO, "2027-03-31", "2027-03-31"),
        (Light.CONDITIONAL, "2027-03-31", "2027-03-31"),
        (Light.INSUFFICIENT_EVIDENCE, "2027-03-31", None),
        (Light.NO_GO, "2027-03-31", None),
    ],
)
def test_with_a_rights_file_its_light_counts_and_its_last_day_is_kept(
    kind: str, light: Light, until: str | None, expected: str | None
) -> None:
    result = simulated(criteria=criteria_file(QUALITY), kind=kind)
    forbidden: dict[str, CommercialUse] = {"base": "forbidden"}

    decision = decided(result, licences=forbidden, rights=answer(light, until))

    assert decision.rights is light
    assert decision.rights_basis is not None
    assert (decision.rights_basis.on, decision.rights_basis.valid_until) == ("2026-12-01", expected)
    assert (decision.decision is Light.NO_GO) == (light is Light.NO_GO)
    assert ("poc rights" in said(decision.conditions)) == (light is Light.CONDITIONAL)


CHEAPER = arm("student-2", steps=2, model_digests={"base": "1" * 64, "fast-motion": "4" * 64})


@pytest.mark.parametrize(
    ("lights", "chosen", "expected"),
    [
        ((Light.GO, Light.GO), "student-2", Light.GO),
        ((Light.NO_GO, Light.GO), STUDENT, Light.GO),
        ((Light.INSUFFICIENT_EVIDENCE, Light.CONDITIONAL), STUDENT, Light.CONDITIONAL),
        ((Light.NO_GO, Light.NO_GO), "student-2", Light.NO_GO),
    ],
)
def test_the_best_arm_that_may_be_used_goes_before_a_better_one_that_may_not(
    lights: tuple[Light, Light], chosen: str, expected: Light
) -> None:
    rights = RightsAnswer(
        dict(zip(("student-2", STUDENT), lights, strict=True)), {}, digest="0" * 64, on="2026-12-01"
    )

    result = simulated(arms=(*PAIR, CHEAPER), criteria=criteria_file(QUALITY))
    decision = decided(result, rights=rights)

    assert (decision.recommended_arm_id, decision.rights) == (chosen, expected)
    assert says(decision, "By what was measured student-2 would lead") == (chosen == STUDENT)
    assert says(decision, "it may not be used") == (lights == (Light.NO_GO, Light.GO))


def test_a_worse_arm_that_may_be_used_does_not_take_the_light_of_a_better_one() -> None:
    values = {"clip_score": lambda a, p, _r: 30 + noise(p) - 0.075 * (a.id == STUDENT)}
    asked = criteria_file(criterion(metric="clip_score", target=-0.05, minimum=-0.1))
    arms = (*PAIR, CHEAPER)
    result = run(plan(arms, prompts=64, criteria=asked), values)
    rights = RightsAnswer(
        {"student-2": Light.NO_GO, STUDENT: Light.GO}, {}, digest="0" * 64, on="2026-12-01"
    )

    assert decided(result).technical is Light.GO
    decision = decided(result, rights=rights)
    assert (decision.recommended_arm_id, decision.technical) == (
        STUDENT,
        Light.INSUFFICIENT_EVIDENCE,
    )


def test_a_licence_that_forbids_one_setting_leads_to_the_other() -> None:
    licences: dict[str, CommercialUse] = {"fast-motion": "forbidden"}
    result = simulated(arms=(*PAIR, CHEAPER), criteria=criteria_file(QUALITY))
    decision = decided(result, licences=licences)

    assert decision.recommended_arm_id == STUDENT
    assert decision.rights is not Light.NO_GO
    assert says(decision, "student-4 is the best that nobody has forbidden")


# --- what stands beside the arm that leads -------------------------------------------------------


def test_styled_candidates_are_named_where_one_without_style_leads() -> None:
    styled = arm("styled-4", style="neon")
    better = criterion(metric="clip_score", target=-0.05, minimum=-0.1)
    values = {"clip_score": lambda a, p, _r: 30 + noise(p) - 5.0 * (a.style is not None)}
    result = run(plan((*PAIR, styled), prompts=64, criteria=criteria_file(better)), values)

    assert says(decided(result), "student-4 has no style")
    assert says(decided(result), "fail: styled-4")
    assert not says(by(QUALITY), "has no style")


def with_slow_control(ratio: float) -> Run:
    """A run whose control is as good as the teacher and takes `ratio` times its seconds."""
    digests = {"base": "1" * 64, "slow-motion": "5" * 64}
    control = arm("control-2", steps=2, role=ArmRole.CONTROL, model_digests=digests)
    result = simulated(arms=(*PAIR, control), criteria=criteria_file(QUALITY, SPEED))
    result.latencies.clear()
    shares = {BASELINE: 1.0, STUDENT: 0.1, "control-2": ratio}
    return timed(result, lambda a, r: shares[a.id] * (1 + 0.01 * abs(noise(r))), rounds=12)


@pytest.mark.parametrize(
    ("ratio", "names", "word"),
    [
        (0.1, False, "meets every must-criterion too"),
        (0.9, True, "which it fails (1.1 times as fast"),
        (0.3, True, "which is undecided (3.3 times as fast"),
    ],
)
def test_a_control_that_lacks_speed_alone_is_named_with_how_fast_it_is(
    ratio: float, names: bool, word: str
) -> None:
    decision = decided(with_slow_control(ratio))

    assert says(decision, "control-2 meets every must-criterion but that of speed") == names
    assert says(decision, word)


def test_a_control_that_may_not_be_used_or_was_taken_out_is_no_rival() -> None:
    result = with_slow_control(0.9)
    barred: dict[str, CommercialUse] = {"slow-motion": "forbidden"}

    assert says(decided(result), "but that of speed")
    assert not says(decided(result, licences=barred), "but that of speed")
    assert not says(decided(result, withdrawn={"control-2"}), "but that of speed")


def test_a_rights_file_that_does_not_know_the_arm_is_no_evidence() -> None:
    result = simulated(criteria=criteria_file(QUALITY))

    decision = decided(result, rights=answer(Light.GO, "2027-03-31", "another"))

    assert decision.rights is Light.INSUFFICIENT_EVIDENCE
    assert decision.rights_basis is not None
    assert decision.rights_basis.valid_until is None


def priced(light: Light, beside: list[str] | None = None) -> Price:
    """Answer for whatever arm is asked, which the basis then names; `beside` gets the others."""

    def price(arm: Arm, others: Sequence[Arm]) -> PriceAnswer:
        if beside is not None:
            beside.extend(one.name for one in others)
        one = Finding(text_en="costs that much", text_ja="その費用")
        basis = PriceBasis(digest="1" * 64, arm_id=arm.id, seed=0)
        conditions = (one,) if light is Light.CONDITIONAL else ()
        return PriceAnswer(light, (one,), conditions, None, basis)

    return price


@pytest.mark.parametrize("light", list(Light))
def test_with_prices_their_light_counts_for_the_recommended_arm(light: Light) -> None:
    result = simulated(criteria=criteria_file(QUALITY), kind="procurement")

    decision = decided(result, rights=answer(Light.GO, "2027-03-31"), price=priced(light))

    assert (decision.technical, decision.rights) == (Light.GO, Light.GO)
    assert (decision.economic, decision.decision) == (light, light)
    assert decision.price_basis is not None
    assert decision.price_basis.arm_id == decision.recommended_arm_id == STUDENT
    assert "costs that much" in said(decision.reasons)
    assert ("costs that much" in said(decision.conditions)) == (light is Light.CONDITIONAL)


@pytest.mark.parametrize(
    ("rights_end", "prices_end", "expected"),
    [
        ("2027-03-31", "2027-01-31", "2027-01-31"),
        ("2027-01-15", "2027-01-31", "2027-01-15"),
        ("2027-03-31", None, "2027-03-31"),
        (None, "2027-01-31", "2027-01-31"),
        (None, None, None),
    ],
)
def test_a_decision_stands_until_the_first_of_its_last_days(
    rights_end: str | None, prices_end: str | None, expected: str | None
) -> None:
    def price(arm: Arm, others: Sequence[Arm]) -> PriceAnswer:
        found = priced(Light.GO)(arm, others)
        return found._replace(basis=found.basis.model_copy(update={"valid_until": prices_end}))

    result = simulated(criteria=criteria_file(QUALITY), kind="procurement")
    decision = decided(result, rights=answer(Light.GO, rights_end), price=price)

    assert decision.valid_until == expected
    assert (f"stands until {expected}" in said(decision.reasons)) == (expected is not None)
    assert ("valid_until" in json.loads(decision.to_json())) == (expected is not None)


def test_nothing_is_priced_where_no_arm_is_recommended() -> None:
    result = simulated(criteria=criteria_file(QUALITY), gain=-20.0)

    decision = decided(result, price=priced(Light.GO))

    assert decision.recommended_arm_id is None
    assert decision.price_basis is None
    assert decision.economic is Light.INSUFFICIENT_EVIDENCE
    assert says(decision, "no setting is recommended, so none was priced")
    assert not says(decision, "no price was given")


@pytest.mark.parametrize(
    ("light", "beside"),
    [
        (None, [STUDENT]),
        (Light.GO, [STUDENT]),
        (Light.CONDITIONAL, [STUDENT]),
        (Light.INSUFFICIENT_EVIDENCE, [STUDENT]),
        (Light.NO_GO, []),
    ],
)
def test_it_is_priced_beside_the_settings_that_pass_too_and_are_not_barred(
    light: Light | None, beside: list[str]
) -> None:
    result = simulated(arms=(*PAIR, CHEAPER), criteria=criteria_file(QUALITY))
    lights = {"student-2": Light.GO, STUDENT: light or Light.GO}
    rights = RightsAnswer(lights, {}, digest="0" * 64, on="2026-12-01") if light else None
    asked: list[str] = []

    decision = decided(result, rights=rights, price=priced(Light.GO, asked))

    assert decision.recommended_arm_id == "student-2"
    assert asked == beside


@pytest.mark.parametrize("what", ["withdrawn", "control"])
def test_what_may_not_lead_is_not_priced_beside_it(what: str) -> None:
    slower = arm("student-8", steps=8, role=ArmRole(what if what == "control" else "candidate"))
    result = simulated(arms=(*PAIR, slower), criteria=criteria_file(QUALITY))
    asked: list[str] = []

    decided(
        result,
        price=priced(Light.GO, asked),
        withdrawn=["student-8"] if what == "withdrawn" else [],
    )

    assert asked == []


def test_a_slower_setting_that_passes_is_priced_beside_it() -> None:
    result = simulated(arms=(*PAIR, arm("student-8", steps=8)), criteria=criteria_file(QUALITY))
    asked: list[str] = []

    assert decided(result, price=priced(Light.GO, asked)).recommended_arm_id == STUDENT
    assert asked == ["student-8"]


def test_nothing_is_priced_beside_what_does_not_pass_itself() -> None:
    result = simulated(gain=-0.1, arms=(*PAIR, CHEAPER), criteria=criteria_file(QUALITY))
    asked: list[str] = []
    decision = decided(result, price=priced(Light.GO, asked))

    assert decision.technical is Light.INSUFFICIENT_EVIDENCE
    assert decision.price_basis is not None
    assert asked == []


def test_lights_are_ordered_from_best_to_worst_and_none_has_no_worst() -> None:
    expected = (Light.GO, Light.CONDITIONAL, Light.INSUFFICIENT_EVIDENCE, Light.NO_GO)

    assert expected == ORDER
    with pytest.raises(ValueError, match="empty"):
        worst([])


def test_a_setting_in_another_style_is_not_priced_beside_it() -> None:
    styled = CHEAPER.model_copy(update={"style": "ink"})
    asked: list[str] = []

    decided(
        simulated(arms=(*PAIR, styled), criteria=criteria_file(QUALITY)),
        price=priced(Light.GO, asked),
    )

    assert asked == []


def test_a_setting_that_fails_is_not_priced_beside_it() -> None:
    values = {"clip_score": lambda a, p, _r: 30 + noise(p) - 5.0 * (a.id == "student-2")}
    result = run(plan((*PAIR, CHEAPER), prompts=64, criteria=criteria_file(QUALITY)), values)
    asked: list[str] = []

    assert decided(result, price=priced(Light.GO, asked)).recommended_arm_id == STUDENT
    assert asked == []


def test_without_prices_the_decision_reads_as_it_did_before_there_were_any() -> None:
    assert "price_basis" not in by(QUALITY).to_json()


def test_without_a_rights_file_the_decision_reads_as_it_did_before_there_were_any() -> None:
    assert "rights_basis" not in by(QUALITY).to_json()


def test_criteria_edited_after_the_run_make_a_go_conditional() -> None:
    result = simulated(criteria=criteria_file(QUALITY))
    laxer = criteria_file(QUALITY.model_copy(update={"minimum": -0.2}))

    kept, edited = decided(result), decided(result, laxer)

    assert (kept.criteria_edited, kept.technical) == (False, Light.GO)
    assert (edited.criteria_edited, edited.technical) == (True, Light.CONDITIONAL)
    assert "not the ones fixed before the run" in said(edited.reasons)
    assert "approved" in said(edited.conditions)


def test_two_criteria_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two are named 'quality'"):
        by(QUALITY, QUALITY.model_copy(update={"minimum": -9.0}))


def test_estimates_of_another_plan_are_refused() -> None:
    other, mine = simulated(prompts=20), simulated(prompts=21)

    with pytest.raises(ValueError, match="another plan"):
        decide(mine.plan, other.evidence().estimates, mine.plan.criteria, {})


def test_a_demonstration_says_that_it_is_no_verdict_on_a_purchase() -> None:
    assert "not a verdict on a purchase" in by(QUALITY).reasons[0].text_en
    assert "demonstration" not in said(by(QUALITY, kind="procurement").reasons)


def test_the_same_run_gives_the_same_bytes() -> None:
    assert by(QUALITY, SPEED).to_json() == by(QUALITY, SPEED).to_json()


def test_exit_codes_are_those_of_the_table() -> None:
    assert {light.value: code for light, code in EXIT_CODES.items()} == {
        "GO": 0,
        "NO_GO": 1,
        "INSUFFICIENT_EVIDENCE": 3,
        "CONDITIONAL": 4,
    }


def test_every_finding_is_written_in_both_languages() -> None:
    decisions = [by(QUALITY), by(SPEED), by(QUALITY, gain=-0.1), by(QUALITY, gain=-3.0)]
    found = [f for d in decisions for f in (*d.reasons, *d.conditions, d.next_measurement) if f]

    assert all(f.text_en.isascii() and f.text_en.endswith(".") for f in found)
    assert all(not f.text_ja.isascii() and f.text_ja.endswith("。") for f in found)


# --- how often the rule errs ---------------------------------------------------------------------


def share_going(gain: float, prompts: int, runs: int) -> float:
    """Share of simulated runs in which quality alone passes."""
    passed = 0
    one = QUALITY.model_copy(update={"target": -0.2, "minimum": -0.2})
    a_plan = plan(PAIR, prompts=prompts, criteria=criteria_file(one))
    for trial in range(runs):
        noises = np.random.default_rng([trial, prompts]).normal(size=prompts)
        values = {"clip_score": lambda a, p, _r, n=noises: 30 + (n[p] + gain) * (a.id == STUDENT)}
        passed += verdicts(decided(run(a_plan, values)))["quality"] is Verdict.PASS
    return passed / runs


@pytest.mark.parametrize("prompts", [10, 32])
def test_an_arm_truly_at_its_minimum_seldom_passes(prompts: int) -> None:
    # 0.05 is nominal; 0.1 is 2.5 standard errors of 120 runs above it.
    assert share_going(-0.2, prompts, 120) <= 0.1


def test_a_truly_good_arm_passes_when_there_are_enough_prompts() -> None:
    assert share_going(0.2, 64, 40) >= 0.8


# --- the next measurement ------------------------------------------------------------------------


def test_the_sample_asked_for_is_what_the_normal_formula_asks_for() -> None:
    estimates, draws = simulated(-0.07, criteria=criteria_file(QUALITY)).evidence()
    one = find(estimates.arms[1], "clip_score", Comparison.DIFFERENCE)
    if one is None or one.value is None:
        raise AssertionError("no estimate")
    error = float(np.std(draws[STUDENT, "clip_score", Comparison.DIFFERENCE]))
    asked = QUALITY.model_copy(update={"target": one.value - 0.01})
    expected = (1.6449 * error / (one.value + 0.1)) ** 2

    need = sample_need(asked, one, draws)

    assert need is not None
    assert need.factor == pytest.approx(expected, rel=1e-3)
    assert need.toward is (Verdict.PASS if one.value > -0.1 else Verdict.FAIL)


def test_an_open_criterion_asks_for_prompts_and_both_arms_clips() -> None:
    asked = criterion(minimum=-0.05, target=-0.05)
    decision = by(asked, gain=0.0, prompts=16, spread=0.3)

    assert verdicts(decision) == {"quality": Verdict.INCONCLUSIVE}
    assert decision.next_measurement is not None
    assert "more prompts" in decision.next_measurement.text_en
    assert "student-4 and the baseline" in decision.next_measurement.text_en


def test_no_sample_settles_what_lies_between_minimum_and_target() -> None:
    decision = by(QUALITY.model_copy(update={"target": 0.5}), gain=0.2)

    assert decision.next_measurement is not None
    assert "not expected to settle" in decision.next_measurement.text_en


def test_one_prompt_is_told_how_many_give_a_first_interval() -> None:
    decision = by(QUALITY, prompts=1)

    assert decision.next_measurement is not None
    assert "About 14 more prompts (28 clips" in decision.next_measurement.text_en


# --- the table -----------------------------------------------------------------------------------


def printed(result: Run) -> str:
    evidence = result.evidence()
    return table(evidence.estimates, decided(result), result.plan.criteria)


def test_the_table_is_aligned_and_fits_the_terminal() -> None:
    long = arm("a-very-long-name-of-an-arm-that-nobody-would-want-to-read-on-one-line-2", steps=2)
    text = printed(simulated(criteria=criteria_file(QUALITY, SPEED), arms=(*PAIR, long)))
    rows = text.split("\n\n")[0].splitlines()

    assert max(len(line) for line in text.splitlines()) <= WIDTH
    assert len({len(row) for row in rows}) == 1
    assert [row.split()[-1] for row in rows] == ["verdict", "baseline", "GO", "GO"]


def test_the_table_shows_speed_up_with_its_interval_and_says_what_is_missing() -> None:
    result = simulated(criteria=criteria_file(QUALITY), rounds=12)
    lose(result, {f"{STUDENT}/p0007/0"}, ClipStatus.INVALID)
    row = printed(result).splitlines()[2]

    assert "12.5x [12.5,12.5]" in row
    assert "63/64" in row
    assert " - " in row


def test_the_table_of_an_empty_run_invents_nothing() -> None:
    result = Run(plan(PAIR, prompts=3))

    text = printed(result)

    assert "0/3" in text
    assert "nan" not in text.lower()
    assert text.splitlines()[2].split()[-1] == "OPEN"


@pytest.mark.parametrize(
    ("right_of_20", "expected"), [(18, Verdict.PASS), (3, Verdict.INCONCLUSIVE)]
)
def test_to_be_no_worse_than_a_baseline_that_fails_proves_nothing(
    right_of_20: int, expected: Verdict
) -> None:
    asked = criterion(metric="oracle_motion", target=-0.1, minimum=-0.3)
    values = {"oracle_motion": lambda _a, p, _r: float(p % 20 < right_of_20)}
    result = run(plan(PAIR, prompts=200, criteria=criteria_file(asked)), values)
    found = decided(result).arms[-1].results[0]

    assert found.verdict is expected
    assert ("the baseline's own share is 15%" in found.reason) == (expected is not Verdict.PASS)


CONTROL = arm("control-2", steps=2, role=ArmRole.CONTROL)


@pytest.mark.parametrize(("role", "expected"), [("candidate", "control-2"), ("control", STUDENT)])
def test_a_control_that_passes_is_never_recommended_and_is_named(role: str, expected: str) -> None:
    cheaper = CONTROL.model_copy(update={"role": ArmRole(role)})
    decision = by(QUALITY, arms=(*PAIR, cheaper))
    conditions = [condition.text_en for condition in decision.conditions]

    assert decision.technical is Light.GO
    assert decision.recommended_arm_id == expected
    assert says(decision, "meets every must-criterion too") == (role == "control")
    assert any("and not control-2" in text for text in conditions) == (role == "control")


def test_a_control_that_alone_passes_is_named_as_the_first_thing_to_look_at() -> None:
    better = criterion(metric="clip_score", target=-0.05, minimum=-0.1)
    values = {
        "clip_score": lambda a, p, _r: 30 + noise(p) - 1.0 * (a.id == STUDENT),
    }
    arms = (*PAIR, CONTROL)
    decision = decided(run(plan(arms, prompts=64, criteria=criteria_file(better)), values))

    assert (decision.technical, decision.recommended_arm_id) == (Light.NO_GO, None)
    assert says(decision, "Every candidate fails")
    assert says(decision, "No candidate meets every must-criterion, but the control control-2")


def test_a_control_as_slow_as_the_baseline_is_no_alternative() -> None:
    slow = arm("control-50", steps=50, role=ArmRole.CONTROL)

    assert not says(by(QUALITY, arms=(*PAIR, slow)), "control")


def test_the_licence_of_a_control_decides_nothing() -> None:
    bad = arm("control-2", steps=2, role=ArmRole.CONTROL, model_digests={"evil": "3" * 64})
    failing = criterion(target=5.0, minimum=4.0)
    result = simulated(arms=(*PAIR, bad), criteria=criteria_file(failing))
    permitted: dict[str, CommercialUse] = {
        "base": "permitted", "student-motion": "permitted", "teacher-motion": "permitted",
        "evil": "forbidden",
    }  # fmt: skip
    decision = decided(result, licences=permitted)

    assert decision.recommended_arm_id is None
    assert says(decision, "every model in use permits")


def says(decision: Decision, part: str) -> bool:
    return any(part in reason.text_en for reason in decision.reasons)


def test_controls_alone_carry_no_light() -> None:
    decision = by(QUALITY, arms=(teacher(), CONTROL))

    assert decision.technical is Light.INSUFFICIENT_EVIDENCE
    assert decision.recommended_arm_id is None


def test_the_table_says_what_is_a_control() -> None:
    rows = printed(simulated(arms=(*PAIR, CONTROL))).splitlines()

    assert rows[3].split()[-2:] == ["GO", "(c)"]


def test_the_table_ends_with_the_contrasts() -> None:
    asked = Contrast(
        arm=STUDENT, against="control-2", metrics=("clip_score", "flicker"),
        question="Is it worth it?", question_ja="効果はあるか",
    )  # fmt: skip
    result = simulated(arms=(*PAIR, CONTROL), contrasts=(asked,))
    lines = printed(result).splitlines()[-3:]

    assert lines[0].strip() == f"{STUDENT} against control-2"
    assert lines[1].strip().startswith("clip_score: ")
    assert "n = 64 of 64: " in lines[1]
    assert lines[1].split()[-1] in {"better", "worse", "shown"}


def test_evaluations_count_within_a_family_and_not_between_two() -> None:
    baseline = arm("fast", steps=4, guidance=1.0)
    same, fewer = arm("as many", steps=4), arm("fewer", steps=2)
    other = arm("rival", steps=8, family="wan", scheduler=SchedulerName.FLOW_LCM)
    control = other.model_copy(update={"role": ArmRole.CONTROL})

    leading = [one.may_lead(baseline) for one in (same, fewer, other, control, baseline)]

    assert leading == [False, True, True, False, False]
