"""What the cost model takes from a run folder: seconds per clip, and what people said of clips."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from pydantic import TypeAdapter, ValidationError

from poc import cost_findings as said
from poc.chosen_arm import arm_named, recommended_arm
from poc.cost_file import LEAST, MOST, CostInputs, Quantity, Text
from poc.cost_records import JudgedClips, TimedSeconds, UnusedVotes
from poc.errors import InputError, plain
from poc.rating_votes import stored_votes
from poc.records import Arm, LatencySample
from poc.store import RunStore
from poc.vote_records import Minutes, Share, VotesOfRun, VoteStatus

TINY: Final = "tiny-"
"""How the ids of the tiny world's models begin."""

_TEXT: Final = TypeAdapter(Text)


def seconds_of_run(run: Path, arm: str | None) -> TimedSeconds:
    """Return the median seconds of an arm's warm clips, prompt in to file out, with their range.

    `arm` is a name; None takes the arm that the run's decision recommends. The range is that of
    the single clips: wider than what is known of the median, since a month has slow clips too.

    Raises:
        InputError: no run, no such arm, nothing timed, or timed on several devices.
    """
    with RunStore.open_reader(run) as store:
        chosen = recommended_arm(store, "--arm") if arm is None else arm_named(store, arm, "--arm")
        samples = [s for s in store.latency() if s.arm_id == chosen.id and s.round >= 0]
        return TimedSeconds(
            seconds_per_clip=_range(run, chosen, samples, store.manifest.created[:10]),
            device=samples[0].device,
            shape=chosen.shape,
            rounds=len({sample.round for sample in samples}),
            is_demonstration=_is_demonstration(store, chosen),
        )


def judged_of_run(
    run: Path, arm: str | None, inputs: CostInputs
) -> JudgedClips | UnusedVotes | None:
    """Return what people said of an arm's clips; None where nobody has judged any.

    `arm` as in `seconds_of_run`. Votes that are too few, damaged or of other answers are unused,
    with the reason.

    Raises:
        InputError: no run, or no such arm.
    """
    with RunStore.open_reader(run) as store:
        chosen = recommended_arm(store, "--arm") if arm is None else arm_named(store, arm, "--arm")
        return judged_clips(store, chosen, inputs)


def judged_clips(store: RunStore, arm: Arm, inputs: CostInputs) -> JudgedClips | UnusedVotes | None:
    """Return what people said of an arm's clips, as `judged_of_run` does."""
    try:
        votes = stored_votes(store.path, store.plan)
    except InputError:  # its text names the folder, and the same run elsewhere has the same price
        return UnusedVotes(why=said.votes_amiss())
    return None if votes is None else _judged(store, arm, inputs, votes)


def _judged(
    store: RunStore, arm: Arm, inputs: CostInputs, votes: VotesOfRun
) -> JudgedClips | UnusedVotes | None:
    found = next((one for one in votes.summary.arms if one.arm_id == arm.id), None)
    if found is None or not found.everyone.n_votes:
        return None
    if found.status is not VoteStatus.SUFFICIENT:
        few = found.kept
        return UnusedVotes(why=said.too_few_votes(few.n_votes, few.n_raters, few.n_prompts))
    # Answers from before their day was kept: no day is known but the run's.
    kept, day = found.kept, str(found.latest or store.manifest.created[:10])
    source = f"{kept.n_votes} votes of {kept.n_raters} raters on {kept.n_clips} clips of " + plain(
        arm.name[:80]
    )
    return JudgedClips(
        acceptance=_as_judged(kept.acceptance, "share", source, day),
        review=_as_judged(kept.review_min, "min/clip", source, day),
        stated_acceptance=inputs.material.acceptance_rate.value,
        stated_review=inputs.material.review_min_per_clip.value,
        votes=kept.n_votes,
        raters=kept.n_raters,
        prompts=kept.n_prompts,
        clips=kept.n_clips,
        is_demonstration=_is_demonstration(store, arm),
    )


def _as_judged(found: Share | Minutes, unit: str, source: str, day: str) -> Quantity | None:
    if found.value is None or found.low is None or found.high is None:
        return None
    least = LEAST if unit == "share" else 0.0  # what an acceptance of 0 costs, is not defined
    low, value, high = (max(least, one) for one in (found.low, found.value, found.high))
    return Quantity(
        value=value,
        low=low,
        high=high,
        is_estimate=True,
        unit=unit,
        date=day,
        source=source,
        example=False,
    )


def _is_demonstration(store: RunStore, arm: Arm) -> bool:
    """Tell whether the clips show how it works rather than what is to be bought.

    Tiny weights are told by their ids in any kind of run: their seconds are those of a toy.
    """
    tiny = any(name.startswith(TINY) for name in arm.model_digests)
    return tiny or store.plan.spec.kind == "demonstration"


def _range(run: Path, arm: Arm, samples: Sequence[LatencySample], day: str) -> Quantity:
    device = _device(run, arm, samples)
    seconds = np.array([sample.total_s for sample in samples])
    if not (seconds >= LEAST).all() or seconds.max() > MOST:
        raise InputError(
            f"{run}: expected timed clips of {LEAST:g} to {MOST:g} seconds, got {seconds.min():g} "
            f"to {seconds.max():g}. The run's latency records are damaged: time it again."
        )
    return Quantity(
        value=float(np.median(seconds)),
        low=float(seconds.min()),
        high=float(seconds.max()),
        unit="s/clip",
        date=day,
        source=f"median of {len(samples)} timed clips of {arm.name[:80]} on {device[:100]}",
        example=False,
    )


def _device(run: Path, arm: Arm, samples: Sequence[LatencySample]) -> str:
    """Return the one device of the samples; its name and the arm's must be what people can read."""
    if not samples:
        raise InputError(
            f"{run}: expected timed clips of arm {_shown(arm.name)}, got none. Let the run time "
            "them, or leave out --run and state seconds in the inputs."
        )
    devices = sorted({sample.device for sample in samples})
    if len(devices) > 1:
        shown = ", ".join(map(_shown, devices))
        raise InputError(
            f"{run}: arm {_shown(arm.name)} was timed on several devices ({shown}). Time it on "
            "one, in a run of its own."
        )
    for text in (devices[0], arm.name):
        try:
            _TEXT.validate_python(text)
        except ValidationError as error:
            raise InputError(
                f"{run}: expected arm and device by names of 2 to 300 plain letters, got "
                f"{_shown(text)}. The run's records are damaged: time it again."
            ) from error
    return devices[0]


def _shown(text: str) -> str:
    r"""Return a name of a run folder so that it steers no terminal.

    >>> _shown("cpu\x1b[31m")
    "'cpu\\x1b[31m'"
    """
    return ascii(text[:100])
