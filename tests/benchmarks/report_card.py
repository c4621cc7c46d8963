"""Which metric sees which fault: plants faults in clips of the tiny world and writes a table.

`make report-card` runs it, some minutes on two cores. Faults of pictures are planted in rendered
clips, faults of the pipeline in the generation of AnimateLCM at 4 steps, and metrics that need
styled clips or several seeds have faults of their own. The first table is the AUC: how often a
spoilt clip scores on the worse side of a clean one of any prompt. The second is in pairs, as the
gate and the criteria compare: how often it scores worse than its own clean twin, ties counting
half. Chance is 0.5; for a metric without a worse side the better of both sides is taken, so there
chance lies a little above.
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

from metrics.base import FloatArray, Frames
from metrics.catalog import CATALOG, Direction, Scope, load
from metrics.diversity import clip_feature, seed_diversity
from metrics.faults import FAULTS
from metrics.kvd import kvd_jackknife
from metrics.overlay import FEWEST, edge_field, overlay_rate
from metrics.report_card import SEEN
from metrics.validity import judge
from poc.fingerprint import take_fingerprint
from poc.measure import Bench, Inputs, Judges, MeasureSetup, ReferenceTask, oracle_values
from poc.pipelines.animatediff import AnimateDiffFamily
from poc.records import Arm, Prompt, ReferenceSet
from poc.run import judges_of, read_plan
from poc.tiny import world
from poc.tiny.judges import auc
from poc.tiny.stills import read_training

ROOT = Path(__file__).parent.parent.parent
SPEC = ROOT / "poc" / "specs" / "tiny.yaml"
OUT = ROOT / "reports" / "baselines" / "report_card"
ARM = "animatelcm-4"
SEED = 41

SUPPLIED = {
    "frames",
    "flows",
    "speeds",
    "image_features",
    "text_features",
    "logit_scale",
    "subject_features",
    "baseline_frames",
}
OVERLAY, KVD, SSIM = "overlay_rate", "kvd", "ssim_to_baseline"
"""Of the first two an arm has one value. On the card are each clip's parts of it: how well its
edges fit those of its pool, and what it adds to KVD by the jackknife (its pseudo-value)."""
MEASURED = (
    *(
        name
        for name, row in CATALOG.items()
        if row.scope is Scope.CLIP and SUPPLIED.issuperset(row.takes) and name != "validity"
    ),
    OVERLAY,
    KVD,
)
"""By every fault of pictures and of the pipeline."""
APART = ("style_similarity", "style_worst_frame", "style_copy", "seed_diversity")
"""By faults of their own: they take styled clips, or several of one prompt."""
NOT_ON_CARD = {
    "lpips_to_baseline": "its network's weights do not come along",
    "csd_style_similarity": "its network's weights do not come along",
    "raft_motion": "its network's weights do not come along",
    "raft_dynamic_degree": "its network's weights do not come along",
    "unsafe": "its checker's weights do not come along, and the tiny world is harmless",
    "negative_prompt_effect": "describes and has no worse side",
    "fvd": "has no part that is one clip's; kvd is, on the same features",
    **dict.fromkeys(
        (name for name, row in CATALOG.items() if row.takes == ("samples",)), "a clock, no picture"
    ),
    "peak_memory_bytes": "an allocator, no picture",
}
"""Why the card cannot have the others; `validity` is on it as `invalid`."""
FEWEST_PAIRS = 16
"""Below, a share of pairs of 0.8 or more comes by chance too often."""
LOOK = world.Style.PASTEL

Values = dict[str, list[float | None]]
Cell = dict[str, float | None]
Cells = dict[str, "Compared"]


@dataclass(frozen=True, slots=True)
class Compared:
    """What a fault did to every metric: clip by clip, and against each clip's clean twin."""

    auc: Cell
    paired: Cell


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
    clean = next(one for one in plan.spec.references if one.style is None)
    measured = Measurer(judges_of(models), arm, reference=clean, prompts=prompts)
    cells: Cells = {}
    for name, cell in (
        *pictures(prompts, measured),
        *_pipeline(prompts, measured, arm, folders),
        *apart(prompts, measured),
    ):
        cells[name] = cell
    write(arguments.out, cells, len(prompts))


class Measurer:
    """Measures pools of clips by every metric that one clip, or its part of a pool's, has."""

    def __init__(
        self, judges: Judges, arm: Arm, *, reference: ReferenceSet, prompts: Sequence[Prompt]
    ) -> None:
        setup = MeasureSetup(run=Path(), judges=judges, metrics=MEASURED, arms={}, prompts={})
        self.bench, self.judges, self._arm = Bench(setup), judges, arm
        texts = tuple(prompt.text for prompt in prompts)
        self._reference = self.bench.reference(ReferenceTask(reference, texts, reference.name))
        self._subjects: dict[str, FloatArray] = {}

    def __call__(
        self,
        clips: Sequence[Frames],
        prompts: Sequence[Prompt],
        *,
        baseline: Sequence[Frames] | None = None,
    ) -> Pool:
        """Return all values of the clips; an invalid clip has none but is counted.

        `baseline` are the clips that they are laid beside; None: there are none.
        """
        rows: list[Cell] = []
        for index, (clip, prompt) in enumerate(zip(clips, prompts, strict=True)):
            beside = None if baseline is None else baseline[index]
            rows.append({} if judge(clip).fault else self._values(clip, prompt, beside))
        values = {name: [row.get(name) for row in rows] for name in MEASURED}
        of_pool = {OVERLAY: _fits(clips), KVD: self._pseudo_values(clips)}
        return Pool(values | of_pool, rows.count({}), len(rows))

    def _values(self, clip: Frames, prompt: Prompt, beside: Frames | None) -> Cell:
        inputs = Inputs(self.bench, clip, prompt)

        def given(argument: str, metric: str) -> Any:
            if argument == "baseline_frames":
                return beside
            if argument == "subject_features":
                return self._subject(prompt.text)
            return inputs.get(argument, metric)

        found: Cell = {}
        for name in MEASURED:
            row = CATALOG[name]
            alone = row.scope is Scope.ARM or (name == SSIM and beside is None)
            if row.target is not None and not alone:
                found[name] = load(name)(*(given(one, name) for one in row.takes)).value
        return found | dict(oracle_values(inputs.reading, self._arm, prompt))

    def _subject(self, text: str) -> FloatArray:
        """Return features of stills of what a prompt names, in the looks that it does not ask for.

        In another look, so that what counts is the subject and not how the picture is drawn.
        """
        if text not in self._subjects:
            rng = np.random.default_rng(SEED)
            scene = world.parse(text)
            stills = [world.render_still(scene, rng, look) for look in world.Style for _ in "ab"]
            self._subjects[text] = self.bench.image_features(np.stack(stills))
        return self._subjects[text]

    def _pseudo_values(self, clips: Sequence[Frames]) -> list[float | None]:
        """Return what each valid clip adds to the KVD of its pool; none of too few clips."""
        valid = [index for index, clip in enumerate(clips) if not judge(clip).fault]
        found: list[float | None] = [None] * len(clips)
        if len(valid) < FEWEST_PAIRS:
            return found
        rows = np.concatenate([self.bench.video_features(clips[i][None]) for i in valid])
        left_out = kvd_jackknife(rows, self._reference, clusters=np.array(valid))
        count = len(valid)
        # Prompts are named by their clip's number, in the order of the jackknife's own.
        for name, without in zip(left_out.prompts, left_out.without_prompt, strict=True):
            found[int(name)] = count * left_out.value - (count - 1) * float(without)
        return found


def _fits(clips: Sequence[Frames]) -> list[float | None]:
    """Return how well each clip's edges fit the others' in place; none of too few clips."""
    if len(clips) < FEWEST:
        return [None] * len(clips)
    return [*overlay_rate(np.stack([edge_field(clip) for clip in clips])).strength.tolist()]


# --- faults of pictures --------------------------------------------------------------------------


def rendered(
    prompts: Sequence[Prompt],
    style: world.Style | None = None,
    *,
    mottle: float = 1.0,
    take: int = 0,
) -> list[Frames]:
    """Render the clip of every prompt; another look or ground leaves all else where it was."""
    return [
        world.render_clip(
            world.parse(prompt.text), np.random.default_rng([SEED, take, i]), style, mottle=mottle
        )
        for i, prompt in enumerate(prompts)
    ]


def pictures(
    prompts: Sequence[Prompt], measured: Measurer, faults: Sequence[str] | None = None
) -> Iterator[tuple[str, Compared]]:
    """Yield what each fault of pictures did, or those of some names.

    A clip is laid beside a near copy of the clean one, as a student's is beside its teacher's.
    """
    clips = rendered(prompts)
    copies = [_near_copy(clip, i) for i, clip in enumerate(clips)]
    clean = measured(clips, prompts, baseline=copies)
    others = [_unlike(prompt, prompts) for prompt in prompts]
    rng = np.random.default_rng(SEED)

    def spoilt(name: str) -> Pool:
        if name == "other_prompt":  # as where the text is not read, or another's is
            return measured(clips, others, baseline=copies)
        if name == "unasked_style":
            looks = [*world.Style]
            pools = [rendered(prompts, look) for look in looks]
            mixed = [pools[i % len(looks)][i] for i in range(len(prompts))]
            return measured(mixed, prompts, baseline=copies)
        if name == "bare_ground":
            return measured(rendered(prompts, mottle=0.3), prompts, baseline=copies)
        return measured([FAULTS[name](clip, rng) for clip in clips], prompts, baseline=copies)

    for name in faults or (*FAULTS, "other_prompt", "unasked_style", "bare_ground"):
        yield name, compare(clean, spoilt(name))
        print(name, flush=True)


def _near_copy(clip: Frames, index: int) -> Frames:
    noise = np.random.default_rng([SEED, 9, index]).normal(0.0, 3.0, clip.shape)
    return np.clip(np.rint(clip + noise), 0, 255).astype(np.uint8)


def _unlike(prompt: Prompt, prompts: Sequence[Prompt]) -> Prompt:
    """Return the next prompt that differs in all that the oracle reads."""
    at = prompts.index(prompt)
    following = (*prompts[at + 1 :], *prompts[:at])
    parts = ("shape", "colour", "background", "motion")
    return next(
        one
        for one in following
        if all(one.attributes[part] != prompt.attributes[part] for part in parts)
    )


# --- faults that only some metrics can be asked for ----------------------------------------------


def apart(prompts: Sequence[Prompt], measured: Measurer) -> Iterator[tuple[str, Compared]]:
    """Yield the faults of styled clips and of several seeds."""
    styled, plain = rendered(prompts, LOOK), rendered(prompts)
    training = read_training(measured.judges.stills_of(LOOK))
    lost, copied = ([clip.copy() for clip in styled] for _ in range(2))
    for i, (one, other) in enumerate(zip(lost, copied, strict=True)):
        one[len(one) // 2] = plain[i][len(one) // 2]
        other[len(other) // 2] = training[i % len(training)]
    clean = _styled(measured, styled)
    faults = {
        "dropped_style": (plain, ("style_similarity", "style_worst_frame")),
        "style_lost_once": (lost, ("style_worst_frame",)),
        "copied_still": (copied, ("style_copy",)),
    }
    for name, (clips, names) in faults.items():
        spoilt = _styled(measured, clips)
        yield name, compare(clean, spoilt, names)
        print(name, flush=True)
    again = rendered(prompts, take=1)
    yield (
        "one_clip_for_all_seeds",
        compare(
            _diverse(measured, plain, again),
            _diverse(measured, plain, plain),
            ("seed_diversity",),
        ),
    )


def _styled(measured: Measurer, clips: Sequence[Frames]) -> Pool:
    bench, rows = measured.bench, []
    stills = {"style_features": bench.style_features(LOOK)}
    stills["training_features"] = bench.training_features(LOOK)
    for clip in clips:
        given = {**stills, "image_features": bench.image_features(clip)}
        rows.append(
            {
                name: load(name)(*(given[one] for one in CATALOG[name].takes)).value
                for name in APART
                if "style_features" in CATALOG[name].takes
            }
        )
    return Pool({name: [row[name] for row in rows] for name in rows[0]}, 0, len(rows))


def _diverse(measured: Measurer, first: Sequence[Frames], second: Sequence[Frames]) -> Pool:
    """Return the diversity of each prompt's two clips."""
    rows = np.stack(
        [clip_feature(measured.bench.image_features(clip)) for clip in (*first, *second)]
    )
    found = seed_diversity(rows, [*range(len(first)), *range(len(second))])
    return Pool({"seed_diversity": [*found.of_prompt.values()]}, 0, len(first))


# --- faults of the pipeline ----------------------------------------------------------------------


def _pipeline(
    prompts: Sequence[Prompt], measured: Measurer, arm: Arm, folders: Mapping[str, Path]
) -> Iterator[tuple[str, Compared]]:
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


# --- comparing -----------------------------------------------------------------------------------


def compare(clean: Pool, spoilt: Pool, names: Sequence[str] = MEASURED) -> Compared:
    """Return how well some metrics tell two pools apart, and the share of clips that are none."""
    singly: Cell = {"invalid": spoilt.invalid / spoilt.count} if names is MEASURED else {}
    in_pairs: Cell = {}
    for name in names:
        direction = CATALOG[name].direction
        twins = [*zip(clean.values[name], spoilt.values[name], strict=True)]
        good = np.array([one for one, _ in twins if one is not None])
        bad = np.array([other for _, other in twins if other is not None])
        singly[name] = _auc(direction, good, bad) if len(good) and len(bad) else None
        both = [(a, b) for a, b in twins if a is not None and b is not None]
        in_pairs[name] = paired_share(direction, both) if len(both) >= FEWEST_PAIRS else None
    return Compared(singly, in_pairs)


def _auc(direction: Direction, good: FloatArray, bad: FloatArray) -> float:
    return _worse(direction, auc(bad, good))


def paired_share(direction: Direction, pairs: Sequence[tuple[float, float]]) -> float:
    """Return how often the spoilt one of (clean, spoilt) is worse, ties counting half.

    >>> paired_share(Direction.LOWER, [(1.0, 2.0), (1.0, 1.0), (5.0, 9.0), (2.0, 1.0)])
    0.625
    """
    higher = np.mean([0.5 + 0.5 * np.sign(spoilt - clean) for clean, spoilt in pairs])
    return _worse(direction, float(higher))


def _worse(direction: Direction, higher: float) -> float:
    """Return how often the spoilt one is worse, from how often it is higher."""
    sides: Mapping[Direction, Callable[[], float]] = {
        Direction.HIGHER: lambda: 1 - higher,
        Direction.LOWER: lambda: higher,
    }
    return sides.get(direction, lambda: max(higher, 1 - higher))()


# --- writing -------------------------------------------------------------------------------------


def write(out: Path, cells: Mapping[str, Compared], count: int) -> None:
    """Write the tables as JSON with machine and commit, and as Markdown."""
    content = {
        "fingerprint": take_fingerprint().model_dump(mode="json"),
        "clips": count,
        "versions": {name: CATALOG[name].version for name in ("validity", *MEASURED, *APART)},
        "auc": {name: cell.auc for name, cell in cells.items()},
        "paired": {name: cell.paired for name, cell in cells.items()},
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


def _lines(cells: Mapping[str, Compared], count: int) -> Iterator[str]:
    yield "# Which metric sees which fault"
    yield ""
    yield (
        f"AUC over {count} clean and {count} spoilt clips of the tiny world: how often a spoilt "
        "clip scores on the worse side of a clean one (two-sided metrics: on the side that tells "
        f"them apart better). Chance is 0.5, and {_folded_chance(count):.2f} for two-sided ones; "
        f"bold: {SEEN} or more, the metric saw the fault. `-`: no value for any spoilt clip; "
        "empty: not asked. `make report-card` writes this file; faults and strengths are in "
        "[`metrics/faults.py`](../../../metrics/faults.py) and "
        "[`report_card.py`](../../../tests/benchmarks/report_card.py), where the last seven are "
        "planted in pipeline, style and seeds."
    )
    yield ""
    yield from _table({name: cell.auc for name, cell in cells.items()}, with_invalid=True)
    yield ""
    yield "## In pairs"
    yield ""
    yield (
        "How often a spoilt clip scores worse than its own clean twin, ties counting half: what "
        "the gate and the criteria compare. Scenes differ more among each other than a small fault "
        f"changes them, so more is seen here. `-`: fewer than {FEWEST_PAIRS} pairs with a value."
    )
    yield ""
    yield from _table({name: cell.paired for name, cell in cells.items()}, with_invalid=False)


def _table(found: Mapping[str, Cell], *, with_invalid: bool) -> Iterator[str]:
    yield f"| | {' | '.join(name.replace('_', ' ') for name in found)} |"
    yield "|---" * (len(found) + 1) + "|"
    if with_invalid:
        shares = (cell.get("invalid") for cell in found.values())
        yield f"| invalid clips | {' | '.join('' if s is None else f'{s:.0%}' for s in shares)} |"
    for metric in (*MEASURED, *APART):
        cells = (_cell(cell[metric]) if metric in cell else "" for cell in found.values())
        yield f"| {metric} | {' | '.join(cells)} |"


def _cell(value: float | None) -> str:
    if value is None:
        return "-"
    return f"**{value:.2f}**" if value >= SEEN else f"{value:.2f}"


if __name__ == "__main__":
    main()
