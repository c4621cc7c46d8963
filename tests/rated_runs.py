"""Runs, panels and answers for tests of blind rating: small, and without a model."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import small_run

from poc import records as r
from poc.panel import (
    ClipTrial,
    Form,
    Pack,
    Panel,
    PanelRequest,
    Trial,
    TrialKind,
    design_panel,
)
from poc.vote_records import AnswerFile, Choice, Outcome, Question, Verdict

Opinion = Callable[[Trial], Outcome]
"""What a rater thinks of a comparison."""

Taste = Callable[[ClipTrial], Verdict]
"""What a rater thinks of a single clip."""


def statuses(plan: r.Plan, **changes: r.ClipStatus) -> dict[str, r.ClipStatus]:
    """Every clip ok, but for those given."""
    clips = [clip.id for batch in plan.batches for clip in batch.clips]
    return dict.fromkeys(clips, r.ClipStatus.OK) | changes


def request(plan: r.Plan, **changes: Any) -> PanelRequest:
    """The second arm against the first, by five raters."""
    fields: dict[str, Any] = {
        "baseline_id": plan.arms[0].id,
        "candidate_ids": (plan.arms[1].id,),
        "raters": 5,
        "per_rater": 12,
        "seed": 0,
        "number": 0,
    }
    return PanelRequest(**(fields | changes))


def panel(plan: r.Plan | None = None, **changes: Any) -> Panel:
    """A panel over the small plan of twenty prompts."""
    plan = plan or small_run.plan(prompts=20)
    return design_panel(plan, statuses(plan), request(plan, **changes))


def clip_panel(plan: r.Plan | None = None, **changes: Any) -> Panel:
    """The same over single clips of the second arm."""
    return panel(plan, form=Form.CLIPS, **changes)


def choice(trial: Trial, outcome: Outcome) -> Choice:
    """The answer that stands for an outcome, seen from the candidate or the whole clip."""
    if outcome is Outcome.TIE:
        return Choice.SAME
    if trial.kind is TrialKind.CATCH:
        is_left = not trial.left.damaged
    else:
        is_left = trial.left.arm_id == trial.candidate_id
    return Choice.LEFT if is_left is (outcome is Outcome.WIN) else Choice.RIGHT


def answers(
    made: Panel,
    number: int,
    opinion: Opinion,
    *,
    rater: str | None = None,
    attentive: bool = True,
    leave_out: Sequence[str] = (),
) -> AnswerFile:
    """What a rater of this opinion sends back, the same to all four questions."""
    pack = made.packs[number]
    return AnswerFile.from_json(
        json.dumps(raw(made, pack, opinion, rater=rater, attentive=attentive, leave_out=leave_out))
    )


def raw(
    made: Panel,
    pack: Pack,
    opinion: Opinion,
    *,
    rater: str | None = None,
    attentive: bool = True,
    leave_out: Sequence[str] = (),
) -> dict[str, Any]:
    """The same before it is decoded."""
    caught = Outcome.WIN if attentive else Outcome.LOSS

    def one(trial: Trial) -> Mapping[str, Any]:
        said = caught if trial.kind is TrialKind.CATCH else opinion(trial)
        every = dict.fromkeys(map(str, Question), str(choice(trial, said)))
        is_open = trial.trial_id in leave_out
        return {
            "trial_id": trial.trial_id,
            "answers": None if is_open else every,
            "duration_s": None if is_open else 9.5,
            "plays": 0 if is_open else 2,
        }

    return _file(made, pack, rater, [one(trial) for trial in pack.trials])


def judged(
    made: Panel, number: int, taste: Taste, *, seconds: float = 12.0, attentive: bool = True
) -> AnswerFile:
    """What a rater of this taste sends back of single clips."""
    found = raw_judged(made, made.packs[number], taste, seconds=seconds, attentive=attentive)
    return AnswerFile.from_json(json.dumps(found))


def raw_judged(
    made: Panel, pack: Pack, taste: Taste, *, seconds: float = 12.0, attentive: bool = True
) -> dict[str, Any]:
    """The same before it is decoded; what is not published is out of shape."""

    def one(trial: ClipTrial) -> Mapping[str, Any]:
        caught = Verdict.NO if attentive else Verdict.YES
        verdict = caught if trial.kind is TrialKind.CATCH else taste(trial)
        reasons = [] if verdict is Verdict.YES else ["shape"]
        return {
            "trial_id": trial.trial_id,
            "answers": None,
            "judgement": {"verdict": str(verdict), "reasons": reasons},
            "duration_s": seconds,
            "plays": 1,
        }

    return _file(made, pack, None, [one(trial) for trial in pack.clips])


def _file(made: Panel, pack: Pack, rater: str | None, trials: Sequence[Any]) -> dict[str, Any]:
    return {
        "format_version": 1,
        "panel_id": made.panel_id,
        "pack_id": pack.pack_id,
        "rater": rater or pack.pseudonym,
        "language": "ja",
        "viewport_width_px": 1366,
        "viewport_height_px": 768,
        "trials": trials,
    }


def folder(path: Path, *, prompts: int = 20, bad: int = 0) -> Path:
    """A finished run on disk; the first `bad` clips of the second arm failed."""
    plan = small_run.plan(prompts=prompts)
    with small_run.open_store(path, plan) as store:
        for arm in plan.arms:
            store.append_resolved(small_run.resolved(arm))
        failed = [c for b in plan.batches for c in b.clips if c.arm_id == plan.arms[1].id][:bad]
        for batch in plan.batches:
            digests = [store.write_clip(clip.id, small_run.frames(clip)) for clip in batch.clips]
            made = small_run.generation(batch, digests)
            ids = {clip.id for clip in failed}
            clips = tuple(_failed(one) if one.clip_id in ids else one for one in made.clips)
            store.append_generation(made.model_copy(update={"clips": clips}))
    return path


def _failed(one: r.ClipResult) -> r.ClipResult:
    return r.ClipResult(
        clip_id=one.clip_id, status=r.ClipStatus.FAILED, reason="broke", frames_digest=None
    )
