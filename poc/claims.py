"""Published claims against a run's estimates: what holds here, what does not, what cannot be told.

Pure. Nothing is confirmed by a point estimate: the whole interval has to lie on the right side of
the claim's line, over enough prompts and with nearly nothing lost. A claim whose conditions are not
met here gets our number beside theirs and no verdict. Nothing of this is stored in a run.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Final, Literal, NamedTuple

from poc.claims_file import (
    STYLE,
    Claim,
    ClaimLook,
    ClaimsFile,
    ClaimTest,
    Condition,
    Conditions,
    How,
)
from poc.contrasts import rests_on_enough
from poc.front import find
from poc.intervals import BOOTSTRAP_FROM
from poc.latency_estimates import DENOISE, LATENCY
from poc.records import Arm, ArmSummary, Comparison, Estimate, Estimates, Finding, Record
from poc.speed_split import Figure, SpeedSplit, figure_of, speed_splits, times_as_fast


class ClaimStatus(StrEnum):
    """What may be said of a claim in a run."""

    CONFIRMED = "confirmed"
    NOT_CONFIRMED = "not_confirmed"
    """The whole interval lies on the wrong side."""
    OPEN = "open"
    """The interval holds the line, or too little stands behind it."""
    NOT_TESTABLE = "not_testable"
    """The run lacks the arms, metrics or conditions, or no run could tell."""


DECISIVE: Final = (
    ClaimStatus.NOT_CONFIRMED,
    ClaimStatus.NOT_TESTABLE,
    ClaimStatus.OPEN,
    ClaimStatus.CONFIRMED,
)
"""Of several tests the first of these stands for all: one refutation is enough."""


class TestResult(Record):
    """One test on one arm: our number, and what follows from it alone."""

    __test__ = False

    test: ClaimTest
    metric: str
    arm: str
    """Name of the arm, or the pattern that no arm fits."""
    against: str | None
    """Name of the arm compared with; None where nothing is compared or found."""
    figure: Figure
    status: ClaimStatus
    reason: Finding | None
    """Why nothing is shown; None where it is confirmed or not."""
    is_asked: bool
    """Whether the run's plan asks for it; a number may be missing nevertheless."""


class Beside(Record):
    """Our number beside a claim's tests, which decides nothing."""

    look: ClaimLook
    metric: str
    arm: str
    against: str | None
    """Name of the arm compared with; None where nothing is compared."""
    figure: Figure


class Difference(Record):
    """One condition that is not theirs, with both sides."""

    condition: Condition
    said: Finding


class ClaimResult(Record):
    """A claim, what this run says of it, and what differs from where it was made."""

    claim: Claim
    status: ClaimStatus
    results: tuple[TestResult, ...]
    reasons: tuple[Finding, ...]
    """Why it is open or cannot be tested."""
    differs: tuple[Difference, ...]
    beside: tuple[Beside, ...]
    """What the run has of it."""

    @property
    def is_asked(self) -> bool:
        """Return whether the run's plan asks for any number of the claim."""
        return any(one.is_asked for one in self.results)


class ClaimsReport(Record):
    """All claims against one run, and where its speed-ups come from."""

    kind: Literal["procurement", "demonstration"]
    claims: tuple[ClaimResult, ...]
    splits: tuple[SpeedSplit, ...]


def weigh(
    file: ClaimsFile,
    estimates: Estimates,
    *,
    kind: Literal["procurement", "demonstration"],
    devices: Iterable[str],
) -> ClaimsReport:
    """Return every claim's standing in a run; `devices` are those of its latency pass.

    With random weights none is weighed: claims are made of models, not of architectures.
    """
    run = _Run(estimates, kind, tuple(sorted(set(devices))))
    weighed = () if run.baseline.arm.weights else file.claims
    return ClaimsReport(
        kind=kind,
        claims=tuple(_claim(run, claim) for claim in weighed),
        splits=speed_splits(estimates),
    )


class _Run(NamedTuple):
    """What a claim is held against."""

    estimates: Estimates
    kind: str
    devices: tuple[str, ...]

    @property
    def baseline(self) -> ArmSummary:
        """Return what is known of the baseline."""
        return next(s for s in self.estimates.arms if s.arm.id == self.estimates.baseline_id)

    def named(self, name: str) -> ArmSummary | None:
        """Return what is known of an arm by its whole name."""
        return next((s for s in self.estimates.arms if s.arm.name == name), None)


def _claim(run: _Run, claim: Claim) -> ClaimResult:
    results = tuple(result for test in claim.tests for result in _results(run, test))
    differs = tuple(_differences(run, claim, results))
    unmet = [d.said for d in differs if d.condition in claim.must_match]
    if claim.untestable is not None and claim.untestable_ja is not None:
        status = ClaimStatus.NOT_TESTABLE
        reasons = [Finding(text_en=claim.untestable, text_ja=claim.untestable_ja)]
    elif unmet:
        status, reasons = ClaimStatus.NOT_TESTABLE, unmet
    else:
        status = min((r.status for r in results), key=DECISIVE.index)
        reasons = [r.reason for r in results if r.status is status and r.reason is not None]
    return ClaimResult(
        claim=claim,
        status=status,
        results=results,
        reasons=tuple(dict.fromkeys(reasons)),
        differs=differs,
        beside=tuple(one for look in claim.beside for one in _beside(run, look)),
    )


def _beside(run: _Run, look: ClaimLook) -> Iterable[Beside]:
    """Yield what the run has of a number that decides nothing."""
    for own in _fitting(run, look):
        metric, other = _asked(run, look, own)
        one = None if other is None else _estimate(run, look, metric, own, other)
        if one is None or other is None or one.value is None:
            continue
        yield Beside(
            look=look,
            metric=metric,
            arm=own.arm.name,
            against=None if look.how is How.VALUE else other.arm.name,
            figure=_figure(look, one, own.arm, other.arm),
        )


# --- one test ------------------------------------------------------------------------------------


def _results(run: _Run, test: ClaimTest) -> list[TestResult]:
    """Return a test's result for every arm that fits, or that none does."""
    fits = _fitting(run, test)
    if not fits:
        return [_nothing(test, test.metric, test.arms, _no_arm(test.arms))]
    return [_result(run, test, summary) for summary in fits]


def _fitting(run: _Run, look: ClaimLook) -> list[ArmSummary]:
    return [
        summary
        for summary in run.estimates.arms
        if not summary.arm.is_imported  # a published claim is of models, not of a delivery
        and fnmatchcase(summary.arm.name, look.arms)
        and (summary.arm.style is not None) is look.styled
    ]


def _asked(run: _Run, look: ClaimLook, own: ArmSummary) -> tuple[str, ArmSummary | None]:
    """Return the metric with its style, and the arm compared with; None: the run lacks it."""
    metric = look.metric.replace(STYLE, own.arm.style or "")
    return metric, run.baseline if look.against is None else run.named(look.against)


def _result(run: _Run, test: ClaimTest, own: ArmSummary) -> TestResult:
    metric, other = _asked(run, test, own)
    if other is None:
        return _nothing(test, metric, own.arm.name, _no_arm(test.against or ""))
    one = _estimate(run, test, metric, own, other)
    compared = None if test.how is How.VALUE else other.arm.name
    if one is None:
        return _nothing(test, metric, own.arm.name, _not_asked(metric, compared), compared)
    figure = _figure(test, one, own.arm, other.arm)
    status, reason = _standing(test, one, figure)
    return TestResult(
        test=test,
        metric=metric,
        arm=own.arm.name,
        against=compared,
        figure=figure,
        status=status,
        reason=reason,
        is_asked=True,
    )


def _nothing(
    test: ClaimTest, metric: str, arm: str, reason: Finding, against: str | None = None
) -> TestResult:
    return TestResult(
        test=test,
        metric=metric,
        arm=arm,
        against=against,
        figure=Figure(value=None, low=None, high=None, n=0),
        status=ClaimStatus.NOT_TESTABLE,
        reason=reason,
        is_asked=False,
    )


def _estimate(
    run: _Run, test: ClaimLook, metric: str, own: ArmSummary, other: ArmSummary
) -> Estimate | None:
    if test.how is How.VALUE:
        return find(own, metric, Comparison.VALUE)
    if test.how is not How.DIFFERENCE:
        return find(own, metric, Comparison.RATIO)
    if other.arm.id == run.estimates.baseline_id:
        return find(own, metric, Comparison.DIFFERENCE)
    return next(
        (
            result.estimate
            for contrast in run.estimates.contrasts
            if (contrast.arm_id, contrast.against_id) == (own.arm.id, other.arm.id)
            for result in contrast.results
            if result.estimate.metric == metric
        ),
        None,
    )


def _figure(test: ClaimLook, one: Estimate, own: Arm, other: Arm) -> Figure:
    if test.how is How.SPEED_UP:
        return times_as_fast(one)
    if test.how is How.SPEED_UP_PER_NFE:
        return times_as_fast(one).over(other.sampling.nfe / own.sampling.nfe)
    return figure_of(one)


def _standing(test: ClaimTest, one: Estimate, figure: Figure) -> tuple[ClaimStatus, Finding | None]:
    """Return what the whole interval says of a test's lines, and why it says nothing."""
    if figure.value is None:
        return ClaimStatus.NOT_TESTABLE, _not_measured(one)
    if figure.low is None or figure.high is None:
        return ClaimStatus.OPEN, _no_interval(one)
    # Rounds are the sample of the latency pass, and six of them are behind its every interval.
    prompts = 1 if one.metric.startswith("latency_") else BOOTSTRAP_FROM
    if not rests_on_enough(one, prompts=prompts):
        return ClaimStatus.OPEN, _too_little(one, prompts)
    above = float("-inf") if test.above is None else test.above
    below = float("inf") if test.below is None else test.below
    if above < figure.low and figure.high < below:
        return ClaimStatus.CONFIRMED, None
    if figure.high < above or below < figure.low:
        return ClaimStatus.NOT_CONFIRMED, None
    return ClaimStatus.OPEN, _holds_the_line(one.metric)


# --- what differs --------------------------------------------------------------------------------


def _differences(run: _Run, claim: Claim, results: Sequence[TestResult]) -> Iterable[Difference]:
    """Yield every condition of the claim that is another one here; the tiny world comes first."""
    if run.kind == "demonstration":
        yield Difference(condition=Condition.WORLD, said=_tiny_world())
    said = claim.conditions
    arm = next((s.arm for r in results if (s := run.named(r.arm))), run.baseline.arm)
    yield from _of_machine(run, said, arm)
    yield from _of_clips(said, arm)
    yield from _of_tests(run, said, results)


def _of_machine(run: _Run, said: Conditions, arm: Arm) -> Iterable[Difference]:
    if said.device is not None and not any(_names(said.device, own) for own in run.devices):
        yield _differs(Condition.DEVICE, said.device, ", ".join(run.devices))
    if said.dtype is not None and said.dtype != arm.dtype:
        yield _differs(Condition.DTYPE, said.dtype, arm.dtype)
    if said.model is not None and not _names(said.model, arm.base):
        yield _differs(Condition.MODEL, said.model, arm.base)
    if arm.motion_adapter == _REHEARSED:
        yield Difference(condition=Condition.TRAINING, said=_rehearsal())


def _of_clips(said: Conditions, arm: Arm) -> Iterable[Difference]:
    shape = arm.shape
    theirs = (said.frames, said.pixels, said.pixels)
    ours = (shape.num_frames, shape.height, shape.width)
    if any(one is not None and one != other for one, other in zip(theirs, ours, strict=True)):
        frames = "?" if said.frames is None else said.frames
        size = f"{frames} x {said.pixels} x {said.pixels}"
        yield _differs(Condition.CLIP, size, " x ".join(str(number) for number in ours))


def _of_tests(run: _Run, said: Conditions, results: Sequence[TestResult]) -> Iterable[Difference]:
    pairs = dict.fromkeys(_nfe(run, said, result) for result in results if run.named(result.arm))
    theirs = _pair(said.nfe, said.baseline_nfe)
    if ours := [pair for pair in pairs if pair != theirs]:
        yield _differs(Condition.NFE, theirs, ", ".join(ours))
    timed = {r.metric for r in results} & {DENOISE, LATENCY}
    scopes = {DENOISE: "denoise", LATENCY: "whole"}
    if said.latency is not None and any(scopes[metric] != said.latency for metric in timed):
        yield Difference(condition=Condition.LATENCY, said=_scope(said.latency))
    metrics = tuple(dict.fromkeys(r.metric for r in results))
    if said.measure is not None and said.measure_ja is not None and metrics:
        yield Difference(
            condition=Condition.MEASURE,
            said=Finding(
                text_en=f"measure: theirs {said.measure}; ours {', '.join(metrics)}",
                text_ja=f"評価指標：公表時は{said.measure_ja}、当方は{'、'.join(metrics)}",
            ),
        )


def _nfe(run: _Run, said: Conditions, result: TestResult) -> str:
    """Return an arm's and its counterpart's NFE, as far as the claim names them."""
    own, other = run.named(result.arm), run.named(result.against or "")
    mine = own.arm.nfe if own and said.nfe is not None else None
    theirs = other.arm.nfe if other and said.baseline_nfe is not None else None
    return _pair(mine, theirs if other else said.baseline_nfe)


def _pair(nfe: int | None, baseline: int | None) -> str:
    return f"{'-' if nfe is None else nfe}/{'-' if baseline is None else baseline}"


def _names(theirs: str, ours: str) -> bool:
    """Return whether our name for a thing contains theirs, whatever the case and the dashes.

    >>> _names("A800", "NVIDIA A800-SXM4-80GB"), _names("Stable Diffusion 1.5", "tiny-base")
    (True, False)
    """
    wanted, given = (re.sub(r"[^a-z0-9]", "", text.casefold()) for text in (theirs, ours))
    return wanted in given


# --- sentences -----------------------------------------------------------------------------------

_CONDITIONS: Final = {
    Condition.DEVICE: ("device", "装置"),
    Condition.DTYPE: ("number format", "数値形式"),
    Condition.MODEL: ("base model", "基盤モデル"),
    Condition.CLIP: ("clip (frames x height x width)", "クリップ（枚数×縦×横）"),
    Condition.NFE: ("NFE (fast/compared)", "NFE（高速側/比較相手）"),
}


def _differs(condition: Condition, theirs: str, ours: str) -> Difference:
    name_en, name_ja = _CONDITIONS[condition]
    here_en, here_ja = (ours, ours) if ours else ("not timed", "計測なし")
    return Difference(
        condition=condition,
        said=Finding(
            text_en=f"{name_en}: theirs {theirs}; ours {here_en}",
            text_ja=f"{name_ja}：公表時は{theirs}、当方は{here_ja}",
        ),
    )


_REHEARSED: Final = "tiny-motion-animatelcm"


def _rehearsal() -> Finding:
    return Finding(
        text_en="training: theirs two stages; ours a third one on own samples, not in the paper",
        text_ja="学習：公表時は2段階、当方は論文にない第3段階（自身の生成例での学習）を追加",
    )


def _tiny_world() -> Finding:
    return Finding(
        text_en="tested in the tiny world of a demonstration, not at real size",
        text_ja="デモンストレーション用の小さな合成世界での検証であり、実際の規模ではない",
    )


def _scope(theirs: str) -> Finding:
    if theirs == "denoise":
        return Finding(
            text_en="seconds: theirs denoising only, without VAE decoding; ours prompt to file",
            text_ja="計測範囲：公表時はノイズ除去のみ（VAEの復号を除く）、当方は入力からファイル出力まで",
        )
    return Finding(
        text_en="seconds: theirs prompt to file; ours denoising only",
        text_ja="計測範囲：公表時は入力からファイル出力まで、当方はノイズ除去のみ",
    )


def _no_arm(name: str) -> Finding:
    return Finding(
        text_en=f"this run has no such arm: {name}", text_ja=f"この実行に該当する構成がない：{name}"
    )


def _not_asked(metric: str, against: str | None) -> Finding:
    beside_en = "" if against is None else f" against {against}"
    beside_ja = "" if against is None else f"（{against}との比較）"
    return Finding(
        text_en=f"this run has no estimate of {metric}{beside_en}",
        text_ja=f"この実行には{metric}{beside_ja}の推定値がない",
    )


def _not_measured(one: Estimate) -> Finding:
    return Finding(
        text_en=f"{one.metric} has no value: {one.reason}",
        text_ja=f"{one.metric}の値がない：{one.reason}",
    )


def _no_interval(one: Estimate) -> Finding:
    return Finding(
        text_en=f"{one.metric} has no interval: {one.reason}",
        text_ja=f"{one.metric}の区間がない：{one.reason}",
    )


def _too_little(one: Estimate, prompts: int) -> Finding:
    return Finding(
        text_en=f"{one.metric}: {one.n_prompts} prompts ({prompts} needed), {one.n_missing} of "
        f"{one.n_clips + one.n_missing} missing: too little to say",
        text_ja=f"{one.metric}：プロンプト{one.n_prompts}件（{prompts}件以上が必要）、"
        f"{one.n_clips + one.n_missing}件中{one.n_missing}件が欠落しており、判断できない",
    )


def _holds_the_line(metric: str) -> Finding:
    return Finding(
        text_en=f"{metric}: the interval lies on both sides of the line",
        text_ja=f"{metric}：区間が判定の境界をまたいでいる",
    )
