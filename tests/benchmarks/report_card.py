"""Which metric sees which fault: plants faults in clips of the tiny world and writes a table.

`make report-card` runs it, some minutes on two cores. Faults of pictures are planted in rendered
clips, faults of the pipeline in the generation of AnimateLCM at 4 steps. A number is the AUC: how
often a spoilt clip scores on the worse side of a clean one of any prompt. Chance is 0.5; for a
metric without a worse side the better of both sides is taken, so there chance lies a little above.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from metrics.base import Frames
from metrics.catalog import CATALOG, Direction, Scope, load
from metrics.faults import FAULTS
from metrics.overlay import FEWEST, edge_field, overlay_rate
from metrics.reference import SEEN
from metrics.validity import judge
from poc.fingerprint import take_fingerprint
from poc.measure import Bench, Inputs, MeasureSetup, oracle_values
from poc.pipelines.animatediff import AnimateDiffFamily
from poc.records import Arm, Prompt
from poc.run import judges_of, read_plan
from poc.tiny import world
from poc.tiny.judges import auc

ROOT = Path(__file__).parent.parent.parent
SPEC = ROOT / "poc" / "specs" / "tiny.yaml"
OUT = ROOT / "reports" / "baselines" / "report_card"
ARM = "animatelcm-4"

SUPPLIED = {"frames", "flows", "speeds", "image_features", "text_features", "logit_scale"}
OVERLAY = "overlay_rate"
"""Of an arm: on the card is how well each clip's edges fit those of its pool."""
MEASURED = (
    *(
        name
        for name, row in CATALOG.items()
        if row.scope is Scope.CLIP
        and SUPPLIED.issuperset(row.takes)
        and name not in {"validity", "oracle_style"}
    ),
    OVERLAY,
)

Values = dict[str, list[float | None]]


@dataclass(frozen=True, slots=True)
class Pool:
    """Clips of one kind, clean or spoilt, with what was measured of each."""

    values: Values
    invalid: int
    count: int


def main() -> None:
    """Plant every fault, measure, and write `report_card.json` and `report_card.md`."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    plan, models = read_plan(SPEC)
    prompts = plan.prompts[: arguments.clips]
    arm = next(one for one in plan.arms if one.name == ARM)
    folders = {key: models.verify(key) for key in arm.model_digests}
    measured = Measurer(judges_of(models), arm)
    cells = [*_pictures(prompts, measured), *_pipeline(prompts, measured, arm, folders)]
    write(arguments.out, cells, len(prompts))


class Measurer:
    """Measures pools of clips by every metric that one clip alone can be measured by."""

    def __init__(self, judges: Any, arm: Arm) -> None:
        setup = MeasureSetup(run=Path(), judges=judges, metrics=MEASURED, arms={}, prompts={})
        self._bench, self._arm = Bench(setup), arm

    def __call__(self, clips: Sequence[Frames], prompts: Sequence[Prompt]) -> Pool:
        """Return all values of the clips; an invalid clip has none but is counted."""
        rows, invalid = [], 0
        for clip, prompt in zip(clips, prompts, strict=True):
            fault = judge(clip).fault
            invalid += fault is not None
            rows.append({} if fault else self._values(clip, prompt))
        values = {name: [row.get(name) for row in rows] for name in MEASURED}
        return Pool(values | {OVERLAY: _fits(clips)}, invalid, len(rows))

    def _values(self, clip: Frames, prompt: Prompt) -> dict[str, float | None]:
        inputs = Inputs(self._bench, clip, prompt)
        found: dict[str, float | None] = {}
        for name in MEASURED:
            row = CATALOG[name]
            if row.target is not None and name != OVERLAY:
                found[name] = load(name)(*(inputs.get(one, name) for one in row.takes)).value
        return found | dict(oracle_values(inputs.reading, self._arm, prompt))


def _fits(clips: Sequence[Frames]) -> list[float | None]:
    """Return how well each clip's edges fit the others' in place; none of too few clips."""
    if len(clips) < FEWEST:
        return [None] * len(clips)
    return [*overlay_rate(np.stack([edge_field(clip) for clip in clips])).strength.tolist()]


def _pictures(
    prompts: Sequence[Prompt], measured: Measurer
) -> Iterator[tuple[str, dict[str, float | None]]]:
    rng = np.random.default_rng(41)
    clips = [world.render_clip(world.parse(prompt.text), rng) for prompt in prompts]
    clean = measured(clips, prompts)
    for name, spoil in FAULTS.items():
        spoilt = [spoil(clip, rng) for clip in clips]
        yield name, compare(clean, measured(spoilt, prompts))
        print(name, flush=True)


def _pipeline(
    prompts: Sequence[Prompt], measured: Measurer, arm: Arm, folders: Mapping[str, Path]
) -> Iterator[tuple[str, dict[str, float | None]]]:
    clean = measured(_generated(arm, folders, prompts), prompts)
    with TemporaryDirectory() as folder:
        wrong = copytree(folders[arm.base], Path(folder) / "base")
        _change_schedule(wrong / "scheduler" / "scheduler_config.json")
        faults = {
            "dropped_lora": (arm.model_copy(update={"loras": ()}), folders),
            "one_step_less": (arm.model_copy(update={"steps": arm.sampling.steps - 1}), folders),
            "wrong_beta_schedule": (arm, {**folders, arm.base: wrong}),
        }
        for name, (changed, where) in faults.items():
            spoilt = measured(_generated(changed, where, prompts), prompts)
            yield name, compare(clean, spoilt)
            print(name, flush=True)


def _change_schedule(path: Path) -> None:
    config = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps(config | {"beta_schedule": "scaled_linear"}), "utf-8")


def _generated(arm: Arm, folders: Mapping[str, Path], prompts: Sequence[Prompt]) -> list[Frames]:
    family = AnimateDiffFamily(base=arm.base, dtype=arm.dtype, folders=folders)
    family.prepare(arm)
    clips: list[Frames] = []
    for start in range(0, len(prompts), 4):
        part = [prompt.text for prompt in prompts[start : start + 4]]
        seeds = range(start, start + len(part))
        clips += list(family.decode(family.denoise(family.encode_reused(part), seeds))[0])
    return clips


def compare(clean: Pool, spoilt: Pool) -> dict[str, float | None]:
    """Return the AUC of every metric, and the share of spoilt clips that are no clips."""
    found: dict[str, float | None] = {"invalid": spoilt.invalid / spoilt.count}
    for name in MEASURED:
        good = np.array([v for v in clean.values[name] if v is not None])
        bad = np.array([v for v in spoilt.values[name] if v is not None])
        found[name] = _auc(CATALOG[name].direction, good, bad) if len(good) and len(bad) else None
    return found


def _auc(direction: Direction, good: np.ndarray, bad: np.ndarray) -> float:
    higher = auc(bad, good)
    sides: Mapping[Direction, Callable[[], float]] = {
        Direction.HIGHER: lambda: 1 - higher,
        Direction.LOWER: lambda: higher,
    }
    return sides.get(direction, lambda: max(higher, 1 - higher))()


def write(out: Path, cells: Sequence[tuple[str, dict[str, float | None]]], count: int) -> None:
    """Write the table as JSON with machine and commit, and as Markdown."""
    content = {
        "fingerprint": take_fingerprint().model_dump(mode="json"),
        "clips": count,
        "versions": {name: CATALOG[name].version for name in ("validity", *MEASURED)},
        "auc": dict(cells),
    }
    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, indent=1, allow_nan=False) + "\n"
    (out / "report_card.json").write_text(text, "utf-8")
    (out / "report_card.md").write_text("\n".join(_lines(cells, count)) + "\n", "utf-8")


def _folded_chance(count: int) -> float:
    """Return the mean of the better of both sides' AUCs when nothing is to be told apart.

    The AUC of `count` against `count` is then about normal, with the variance of Mann and Whitney
    (1947): (2 n + 1) / (12 n^2).
    """
    spread = math.sqrt((2 * count + 1) / (12 * count**2))
    return 0.5 + spread * math.sqrt(2 / math.pi)


def _lines(cells: Sequence[tuple[str, dict[str, float | None]]], count: int) -> Iterator[str]:
    yield "# Which metric sees which fault"
    yield ""
    yield (
        f"AUC over {count} clean and {count} spoilt clips of the tiny world: how often a spoilt "
        "clip scores on the worse side of a clean one (two-sided metrics: on the side that tells "
        f"them apart better). Chance is 0.5, and {_folded_chance(count):.2f} for two-sided ones; "
        f"bold: {SEEN} or more, the metric saw the fault. `-`: no value for any spoilt clip. "
        "`make report-card` writes this file; faults and strengths are in "
        "[`metrics/faults.py`](../../../metrics/faults.py), the last three are in the pipeline "
        "itself."
    )
    yield ""
    faults = [name for name, _ in cells]
    yield f"| | {' | '.join(name.replace('_', ' ') for name in faults)} |"
    yield "|---" * (len(faults) + 1) + "|"
    invalid = [f"{found['invalid']:.0%}" for _, found in cells]
    yield f"| invalid clips | {' | '.join(invalid)} |"
    for metric in MEASURED:
        yield f"| {metric} | {' | '.join(_cell(found[metric]) for _, found in cells)} |"


def _cell(value: float | None) -> str:
    if value is None:
        return "-"
    return f"**{value:.2f}**" if value >= SEEN else f"{value:.2f}"


if __name__ == "__main__":
    main()
