"""Run folder -> one frozen `RunView`, and folder of runs -> the list of them. Reads only.

Damage is told apart from absence: `RunNotShownError` says which run, what is wrong and what to
type, so that a page can name it and still show the other runs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

from pydantic import ValidationError

from poc.claims import ClaimsReport, weigh
from poc.claims_file import ClaimsFile, read_claims
from poc.collector import paused
from poc.cost_records import MoneyOfRun
from poc.errors import InputError
from poc.governance_records import RightsOfRun
from poc.latency_profile import LatencyProfile, latency_profiles
from poc.latency_telemetry import RunTelemetry, run_telemetry
from poc.rating_votes import stored_votes
from poc.records import (
    FORMAT_VERSION,
    Arm,
    ArmSummary,
    ClipResult,
    ClipStatus,
    Comparison,
    Decision,
    Estimate,
    Estimates,
    LatencySample,
    Measurement,
    Plan,
    Prompt,
    Record,
    ResolvedArm,
)
from poc.run_folder import MANIFEST
from poc.store import RunStore
from poc.vote_records import VotesOfRun

R = TypeVar("R", bound=Record)


FILMS: Final = (".webm", ".mp4")
"""Suffixes of viewing copies that a `<video>` plays, as the store names them."""


class Problem(StrEnum):
    """Why a run cannot be shown; each has a sentence `problem.<value>` in the locale."""

    DAMAGED = "damaged"
    NEWER = "newer"
    NOT_DECIDED = "not_decided"


class RunNotShownError(InputError):
    """A run that cannot be shown: which one, why, and the reader's own words for it.

    `made` of `planned` clips have ended, where that is known.
    """

    def __init__(
        self, path: Path, problem: Problem, detail: str, *, made: int = 0, planned: int = 0
    ) -> None:
        super().__init__(detail if str(path) in detail else f"{path}: {detail}")
        self.path, self.problem, self.detail = path, problem, detail
        self.made, self.planned = made, planned


@dataclass(frozen=True, slots=True)
class ClipView:
    """One planned clip: how it ended and where its film strip lies, if there is one."""

    clip_id: str
    arm_id: str
    prompt_id: str
    replicate: int
    status: ClipStatus
    reason: str
    strip: Path | None
    """PNG with the frames stacked from top to bottom, in order."""
    film: Path | None = None
    """Viewing copy that a browser plays: for eyes, never measured."""


@dataclass(frozen=True)
class RunView:
    """All of a run that people see. Arms and prompts are in the plan's order."""

    path: Path
    plan: Plan
    estimates: Estimates
    decision: Decision
    clips: tuple[ClipView, ...]
    measurements: tuple[Measurement, ...]
    latency: tuple[LatencySample, ...]
    manifest: Mapping[str, Any]
    resolved: tuple[ResolvedArm, ...]
    """What each arm turned out to be once loaded: weights, scheduler, timesteps."""
    machines: int
    """How many machines or installations the run was made on."""
    findings: tuple[str, ...]
    """What the reader of the folder had to say: repaired tails, damaged records."""
    closed_reason: str | None
    published: ClaimsFile
    """What is claimed in public; no part of the run."""
    money: MoneyOfRun | None = None
    """What stands behind the decision's `price_basis`; None: not asked for, or not of this one."""
    rights: RightsOfRun | None = None
    """What stands behind its `rights_basis`, or None alike."""
    votes: VotesOfRun | None = None
    """What people said; None where nobody has, or where it is not summed up."""
    votes_open: bool = False
    """Whether answers are there that cannot be shown before they are summed up."""

    @property
    def name(self) -> str:
        """The folder's name, by which people know a run."""
        return self.path.name

    @property
    def demonstration(self) -> bool:
        """Whether nothing here may be read as a verdict on a purchase."""
        return "demonstration" in (self.plan.spec.kind, self.decision.kind)

    @property
    def random_weights(self) -> bool:
        """Whether only times were measured."""
        return self.plan.spec.weights is not None

    @property
    def stale(self) -> bool:
        """Whether the decision was taken on other estimates than these."""
        return self.decision.estimates_digest != self.estimates.content_digest()

    @property
    def baseline(self) -> Arm:
        """The arm that the others are compared with."""
        return self.arm(self.plan.baseline_id)

    @cached_property
    def arms(self) -> Mapping[str, Arm]:
        """Arm id -> arm."""
        return {arm.id: arm for arm in self.plan.arms}

    @cached_property
    def prompts(self) -> Mapping[str, Prompt]:
        """Prompt id -> prompt."""
        return {prompt.id: prompt for prompt in self.plan.prompts}

    @cached_property
    def summaries(self) -> Mapping[str, ArmSummary]:
        """Arm id -> its summary; an arm without one is absent."""
        return {summary.arm.id: summary for summary in self.estimates.arms}

    @cached_property
    def claims(self) -> ClaimsReport:
        """The published claims against this run, weighed whenever it is read."""
        devices = [sample.device for sample in self.latency]
        return weigh(self.published, self.estimates, kind=self.plan.spec.kind, devices=devices)

    @cached_property
    def profiles(self) -> Mapping[str, LatencyProfile]:
        """Arm id -> how its timed clips spread."""
        return {found.arm_id: found for found in latency_profiles(self.plan, self.latency)}

    @cached_property
    def telemetry(self) -> RunTelemetry:
        """What the GPU's driver told while clips were timed."""
        return run_telemetry(self.plan, self.latency)

    def clip_values(self, metric: str) -> Mapping[str, float]:
        """Return clip id -> the metric's value; clips without one are absent."""
        return self._values.get(metric, {})

    @cached_property
    def taken(self) -> tuple[tuple[str, int, str | None], ...]:
        """Metric, version and network of every measurement, each once, in their order."""
        found = ((one.metric, one.version, one.extractor) for one in self.measurements)
        return tuple(dict.fromkeys(found))

    @cached_property
    def clip_metrics(self) -> tuple[str, ...]:
        """Metrics that were taken of clips, in their order; of some every value may be missing."""
        found = (one.metric for one in self.measurements if one.clip_id is not None)
        return tuple(dict.fromkeys(found))

    @cached_property
    def _values(self) -> Mapping[str, Mapping[str, float]]:
        found: dict[str, dict[str, float]] = {}
        for one in self.measurements:
            if one.clip_id is not None and one.value is not None:
                found.setdefault(one.metric, {})[one.clip_id] = one.value
        return found

    @cached_property
    def _cells(self) -> Mapping[tuple[str, str, Comparison], Estimate]:
        found = (e for summary in self.estimates.arms for e in summary.estimates)
        return {(e.arm_id, e.metric, e.comparison): e for e in found}

    def arm(self, arm_id: str) -> Arm:
        """Return an arm of the plan by its id."""
        return self.arms[arm_id]

    def estimate(self, arm_id: str, metric: str, how: Comparison) -> Estimate | None:
        """Return one estimate, or None where the run has none."""
        return self._cells.get((arm_id, metric, how))


def load_run(path: Path) -> RunView:
    """Read a run folder that has been estimated and decided.

    Raises:
        RunNotShownError: the folder is damaged or of a newer format, or has no decision yet.
    """
    try:
        with paused(), RunStore.open_reader(path) as store:
            return _view(store)
    except RunNotShownError:
        raise
    except InputError as error:
        problem = Problem.NEWER if _is_newer(path / MANIFEST) else Problem.DAMAGED
        raise RunNotShownError(path, problem, str(error)) from error


def load_runs(paths: Sequence[Path]) -> list[RunView]:
    """Load runs that stand on one page, each under the name of its spec.

    Raises:
        RunNotShownError: as `load_run`.
        InputError: two runs are of one name.
    """
    views = [load_run(path) for path in paths]
    names = [view.plan.spec.name for view in views]
    if twice := {name for name in names if names.count(name) > 1}:
        raise InputError(
            f"{', '.join(map(str, paths))}: expected runs of different names, since each has its "
            f"own place on the page; got {', '.join(sorted(twice))} more than once."
        )
    return views


def _is_newer(manifest: Path) -> bool:
    try:
        version = json.loads(manifest.read_text("utf-8"))["format_version"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False
    return isinstance(version, int) and version > FORMAT_VERSION


def list_runs(folder: Path) -> tuple[Path, ...]:
    """Return the run folders in `folder`, by name; `folder` itself when it is a run."""
    if (folder / MANIFEST).is_file():
        return (folder,)
    if not folder.is_dir():
        return ()
    return tuple(sorted(path.parent for path in folder.glob(f"*/{MANIFEST}")))


def _view(store: RunStore) -> RunView:
    decision = _derived(store, "decision.json", Decision)
    estimates = _of_this_plan(store, _derived(store, "estimates.json", Estimates))
    _check_arms(store, estimates, decision)
    votes, votes_open = _votes(store)
    return RunView(
        path=store.path,
        plan=store.plan,
        estimates=estimates,
        decision=decision,
        clips=_clips(store),
        measurements=store.measurements(),
        latency=store.latency(),
        manifest=store.manifest.model_dump(mode="json"),
        resolved=store.resolved(),
        machines=len(store.fingerprints()),
        findings=store.findings,
        closed_reason=store.closed_reason,
        published=read_claims(),
        money=_money(store, decision),
        rights=_rights(store, decision),
        votes=votes,
        votes_open=votes_open,
    )


def _money(store: RunStore, decision: Decision) -> MoneyOfRun | None:
    """Return what stands behind the economic light; None unless it is of this very decision."""
    found = _beside(store, "money.json", MoneyOfRun)
    if found is None or decision.price_basis is None:
        return None
    there = found.basis, found.estimates_digest, found.economic.light
    asked = decision.price_basis, decision.estimates_digest, decision.economic
    return found if there == asked and _prices_this_run(store, found) else None


def _prices_this_run(store: RunStore, found: MoneyOfRun) -> bool:
    """Tell whether an arm of the run is priced, and beside it others of it, each once."""
    arms = {arm.id: arm.name for arm in store.plan.arms}
    beside = {one.arm_id: one.arm for one in found.settings}
    barred = {found.basis.arm_id, store.plan.baseline_id}
    whole = len(beside) == len(found.settings) and beside.items() <= arms.items()
    return found.basis.arm_id in arms and whole and not barred & beside.keys()


def _rights(store: RunStore, decision: Decision) -> RightsOfRun | None:
    """Return what stands behind the rights light; None unless it is of this very decision."""
    found = _beside(store, "rights.json", RightsOfRun)
    asked = decision.rights_basis
    if found is None or asked is None or found.basis != asked:
        return None
    arms = {arm.arm_id for arm in found.result.arms}
    whole = arms == {arm.id for arm in store.plan.arms}
    return found if whole and found.result.digest == asked.digest else None


def _beside(store: RunStore, name: str, kind: type[R]) -> R | None:
    """Return a file that a run may lack; one that cannot be read hides no decision."""
    try:
        text = store.read_derived(name)
        return None if text is None else kind.from_json(text)
    except (InputError, ValidationError):
        return None


def _votes(store: RunStore) -> tuple[VotesOfRun | None, bool]:
    """Return the summed-up votes, and whether there are answers that they do not hold."""
    try:
        return stored_votes(store.path, store.plan), False
    except InputError:
        return None, True


def _derived(store: RunStore, name: str, kind: type[R]) -> R:
    text = store.read_derived(name)
    if text is None:
        detail = f"no {name} yet. Go on with `poc run`, or type: poc decide {store.path}"
        planned = sum(len(batch.clips) for batch in store.plan.batches)
        made = len(store.results())
        raise RunNotShownError(store.path, Problem.NOT_DECIDED, detail, made=made, planned=planned)
    try:
        return kind.from_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        detail = (
            f"{name} cannot be read ({where}: {first['msg']}). It is derived from the records: "
            f"delete it, then type: poc decide {store.path}"
        )
        raise RunNotShownError(store.path, Problem.DAMAGED, detail) from error


def _of_this_plan(store: RunStore, estimates: Estimates) -> Estimates:
    if estimates.plan_digest != store.plan.content_digest():
        detail = f"estimates.json belongs to another plan. Type: poc decide {store.path}"
        raise RunNotShownError(store.path, Problem.DAMAGED, detail)
    return estimates


def _check_arms(store: RunStore, estimates: Estimates, decision: Decision) -> None:
    """Refuse derived files that speak of arms, or a day, that this plan does not know."""
    planned = {arm.id for arm in store.plan.arms}
    estimated = [summary.arm.id for summary in estimates.arms]
    compared = [name for one in estimates.contrasts for name in (one.arm_id, one.against_id)]
    decided = [one.arm_id for one in decision.arms]
    chosen = [] if decision.recommended_arm_id is None else [decision.recommended_arm_id]
    for name, arms in (
        ("estimates.json", (estimates.baseline_id, *estimated, *compared)),
        ("decision.json", (*decided, *chosen)),
    ):
        if unknown := sorted(set(arms) - planned):
            _refuse(store, name, f"it speaks of arm {unknown[0]!r}, which the plan does not have")
    if store.plan.baseline_id not in estimated or estimates.baseline_id != store.plan.baseline_id:
        _refuse(store, "estimates.json", "the baseline is missing, or another than the plan's")
    try:
        date.fromisoformat(decision.valid_until or "2000-01-01")
    except ValueError:
        _refuse(store, "decision.json", f"valid_until is no day: {decision.valid_until!r}")


def _refuse(store: RunStore, name: str, why: str) -> NoReturn:
    detail = f"{name}: {why}. Delete it, then type: poc decide {store.path}"
    raise RunNotShownError(store.path, Problem.DAMAGED, detail)


def _clips(store: RunStore) -> tuple[ClipView, ...]:
    ended = store.results()
    folder = store.path / "clips"
    there = {path.name for path in folder.iterdir()} if folder.is_dir() else set()

    def kept(clip_id: str, suffixes: Sequence[str]) -> Path | None:
        names = (f"{clip_id}{suffix}" for suffix in suffixes)
        return next((folder / name for name in names if name in there), None)

    return tuple(
        ClipView(
            one.id,
            one.arm_id,
            one.prompt_id,
            one.replicate,
            *_ending(ended.get(one.id)),
            strip=kept(one.id, (".png",)),
            film=kept(one.id, FILMS),
        )
        for batch in store.plan.batches
        for one in batch.clips
    )


def _ending(clip: ClipResult | None) -> tuple[ClipStatus, str]:
    return (ClipStatus.PENDING, "") if clip is None else (clip.status, clip.reason)


def worst_first(view: RunView, arm_id: str, metric: str, *, lower_is_better: bool) -> Sequence[str]:
    """Return prompt ids from an arm's worst clip to its best; lost clips come first.

    An order of what was measured, not a number: ties keep the plan's order.
    """
    values = view.clip_values(metric)
    sign = -1.0 if lower_is_better else 1.0
    mine = [clip for clip in view.clips if clip.arm_id == arm_id and clip.replicate == 0]
    mine.sort(key=lambda clip: sign * values.get(clip.clip_id, -sign * float("inf")))
    return [clip.prompt_id for clip in mine]
