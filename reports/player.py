"""Clips of one prompt over several arms, as the data of a player that keeps them in step.

Pure: what each place shows and says. `templates/player.js` plays it; it sets all of this as text.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from metrics.catalog import CATALOG, Direction, Scope
from poc.records import Arm, ArmRole, ClipStatus, Comparison
from reports import text as words
from reports.judged import focus_arm, role_name
from reports.load import ClipView, RunView, worst_first
from reports.sheet import RANKERS, ranker
from reports.text import Text

TYPES: Final = {".webm": "video/webm", ".mp4": "video/mp4"}

SHOWN_ARMS: Final = 8
"""Arms that are chosen at first."""

_WORDS: Final = (
    "play", "pause", "back", "forth", "scrub", "loop", "speed", "wipe", "left", "right", "absent",
    "unreadable",
)  # fmt: skip


def order_metrics(view: RunView) -> tuple[str, ...]:
    """Return the clip metrics that say which way is better, the one that orders best first."""
    ways = (Direction.HIGHER, Direction.LOWER)
    useful = [m for m in view.clip_metrics if _is_of_a_clip(m) and words.direction(m) in ways]
    first = ranker(view)
    return tuple(dict.fromkeys([*([first] if first in useful else []), *useful]))


def _is_of_a_clip(metric: str) -> bool:
    row = CATALOG.get(metric.partition("[")[0])
    return row is not None and row.scope is Scope.CLIP


def ordered_prompts(view: RunView, arm_id: str, metric: str | None) -> Sequence[str]:
    """Return prompt ids from the arm's worst clip to its best; as planned without a metric."""
    if metric is None:
        return [prompt.id for prompt in view.plan.prompts]
    lower = words.direction(metric) is Direction.LOWER
    return worst_first(view, arm_id, metric, lower_is_better=lower)


def first_arms(view: RunView) -> list[Arm]:
    """Return the arms shown at first: baseline, arm in focus, candidates, then controls."""
    candidates = (arm for arm in view.plan.arms if arm.role is ArmRole.CANDIDATE)
    wanted = (view.baseline, focus_arm(view), *candidates, *view.plan.arms)
    chosen = list(dict.fromkeys(arm.id for arm in wanted))[:SHOWN_ARMS]
    return [arm for arm in view.plan.arms if arm.id in chosen]


def clip_value(view: RunView, text: Text, clip: ClipView, metric: str) -> str:
    """Return one metric of one clip as people read it; yes or no where it is met or not."""
    value = view.clip_values(metric).get(clip.clip_id)
    if words.is_share(metric) and value in (0.0, 1.0):
        return text("clip.yes" if value else "clip.no")
    return words.number(text, metric, Comparison.VALUE, value)


def player_data(
    view: RunView, text: Text, prompt_id: str, arms: Sequence[Arm], *, replicate: int = 0
) -> dict[str, Any]:
    """Return everything that the player needs for one prompt."""
    shape = view.plan.spec.shape
    clips = {
        clip.arm_id: clip
        for clip in view.clips
        if clip.prompt_id == prompt_id and clip.replicate == replicate
    }
    return {
        "fps": shape.fps,
        "frames": shape.num_frames,
        "width": shape.width,
        "height": shape.height,
        "words": {
            **{name: text(f"player.{name}") for name in _WORDS},
            "frame": text("player.frame", n="{n}", of="{of}"),
        },
        "tiles": [_tile(view, text, arm, clips[arm.id]) for arm in arms if arm.id in clips],
    }


def _tile(view: RunView, text: Text, arm: Arm, clip: ClipView) -> dict[str, Any]:
    name, lost = words.arm_name(text, arm), clip.status is not ClipStatus.OK
    return {
        "name": name,
        "said": text("clip.alt.plain", arm=name),
        "role": role_name(view, text, arm),
        "word": text(f"clip.word.{clip.status}") if lost else "",
        "reason": words.shown(clip.reason, 160),
        "film": None if clip.film is None else film(clip.film),
        "facts": list(_facts(view, text, clip)),
    }


def film(path: Path) -> dict[str, str] | None:
    """Return a viewing copy as a browser takes it; None when the file cannot be read."""
    try:
        raw = path.read_bytes()
    except OSError:
        return None
    return {"type": TYPES[path.suffix], "base64": base64.b64encode(raw).decode("ascii")}


def _facts(view: RunView, text: Text, clip: ClipView) -> Iterator[str]:
    colon = text("punctuation.colon")
    for metric in dict.fromkeys((*RANKERS, view.estimates.quality_metric)):
        if clip.clip_id in view.clip_values(metric):
            label = words.of_one_clip(text, metric)
            yield f"{label}{colon}{clip_value(view, text, clip, metric)}"
