"""The measure stage: every valid clip once, by every metric of the spec; then every arm's set.

Each clip is read once, its features are computed once and shared by all metrics that take them.
The oracle of the tiny world is asked here too, where the prompt's truth is known.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from metrics import catalog
from poc.engine.local import run_tasks
from poc.errors import InputError
from poc.imported import as_measured
from poc.records import (
    Arm,
    ArmRole,
    Batch,
    ClipRequest,
    ClipShape,
    ClipStatus,
    ComparisonProtocol,
    Measurement,
    MeasurementStatus,
    Plan,
    Prompt,
    ReferenceSet,
    SweepSpec,
    VideoJudge,
    short_id,
)
from poc.reference_clips import reference_frames
from poc.video_judge import TINY_VIDEO, NamedVideo, as_recorded, named_video, preparation_of

if TYPE_CHECKING:
    from poc.generate import Machine, Progress
    from poc.store import RunStore
    from poc.tiny.oracle import Reading

Frames = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]

Partners = Mapping[str, Mapping[str, str]]
"""Argument of the catalogue -> clip id -> the clip to be laid beside it, or why there is none."""

BASELINE, UNPROMPTED = "baseline_frames", "unprompted_frames"
NO_PARTNER = "no partner: "
"""How a reason in `Partners` begins; no clip id does."""

VIDEO_EXTRACTOR = TINY_VIDEO
IMAGE_TEXT_EXTRACTOR = "tiny-clip"
_PAIRED = frozenset({BASELINE, UNPROMPTED})
_STYLED = re.compile(r"(?P<name>\w+)\[(?P<style>[\w.-]+)\]")
_ORACLE_PARTS = ("shape", "colour", "background", "motion")
_REFERENCE_CHUNK = 32
RENDERING = 1
"""Version of how reference sets are rendered; raised when their pictures or number change."""


@dataclass(frozen=True, slots=True)
class NamedJudge:
    """The image-text judge that a spec names, and where it runs."""

    id: str
    """Its entry in models.yaml."""
    digest: str
    """Of its files, as pinned."""
    device: str = "cpu"

    @property
    def extractor(self) -> str:
        """What its numbers carry: entry, files and, if it is not the CPU, the kind of device."""
        kind = self.device.partition(":")[0]
        return f"{self.id}@{self.digest[:16]}" + ("" if kind == "cpu" else f" on {kind}")


@dataclass(frozen=True, slots=True)
class Judges:
    """Where the networks that judge lie: an image-text model, a video network, held-out stills."""

    image_text: Path
    video: Path
    video_digest: str
    stills: Path
    """Folder with `STYLE/heldout/*.png`."""
    own_stills: Mapping[str, Path] = field(default_factory=dict)
    """Such a folder of each style that was trained on own stills, by its name."""
    named: NamedJudge | None = None
    """What lies in `image_text`; None: the network of the tiny world."""
    named_video: NamedVideo | None = None
    """What lies in `video`; None: the network of the tiny world, which comes along."""

    @property
    def video_extractor(self) -> str:
        """What FVD and KVD are named by."""
        return VIDEO_EXTRACTOR if self.named_video is None else self.named_video.extractor

    def stills_of(self, style: str) -> Path:
        """Return the folder of a style, with stills in `train` and in `heldout`."""
        return self.own_stills.get(style, self.stills) / style


@dataclass(frozen=True, slots=True)
class MeasuredClip:
    """One clip's numbers and the features that set metrics need."""

    clip_id: str
    measurements: tuple[Measurement, ...]
    video_features: Floats


@dataclass(frozen=True, slots=True)
class MeasureSetup:
    """Builds a measuring worker: its networks load at its first task."""

    run: Path
    judges: Judges
    metrics: tuple[str, ...]
    arms: Mapping[str, Arm]
    prompts: Mapping[str, Prompt]
    partners: Partners = field(default_factory=dict)
    protocol: ComparisonProtocol | None = None
    """The form in which clips are compared, where some were made elsewhere."""
    folders: Mapping[str, Path] = field(default_factory=dict)
    """Where reference sets lie that are not rendered, by name."""

    def __call__(self, _: int) -> Callable[[Batch | ReferenceTask], Any]:
        """Return the handler of batches and reference sets."""
        bench = Bench(self)

        def handle(task: Batch | ReferenceTask) -> Any:
            return bench.reference(task) if isinstance(task, ReferenceTask) else bench.batch(task)

        return handle


@dataclass(frozen=True, slots=True)
class ReferenceTask:
    """A reference set whose features are to be taken."""

    reference: ReferenceSet
    texts: tuple[str, ...]
    """Prompts of the plan, which a rendered set shows in turn."""
    id: str
    spec: SweepSpec | None = None
    """Whose clips are held against it; wanted for a folder."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Of a folder: file name -> SHA-256, as planned."""


class Bench:
    """The loaded judges of one worker."""

    def __init__(self, setup: MeasureSetup) -> None:
        self._setup = setup
        self._texts: dict[str, Floats] = {}
        self._styles: dict[str, Floats] = {}
        self._unread: dict[str, str] = {}

    @cached_property
    def _image_text(self) -> Any:
        return load_image_text(self._setup.judges)

    @cached_property
    def _video(self) -> Any:
        return load_video(self._setup.judges)

    @cached_property
    def _reader(self) -> RunStore:
        from poc.store import RunStore

        return RunStore.open_reader(self._setup.run)

    def batch(self, batch: Batch) -> tuple[MeasuredClip, ...]:
        """Measure the clips of a batch that are ok; `batch.clips` holds only those."""
        arm = self._setup.arms[batch.arm_id]
        clips = [self._as_measured(self._reader.read_clip(c.id), arm) for c in batch.clips]
        video = self.video_features(np.stack(clips))
        measured = []
        for request, frames, features in zip(batch.clips, clips, video, strict=True):
            prompt = self._setup.prompts[request.prompt_id]
            inputs = Inputs(self, frames, prompt, request.id)
            numbers = tuple(self._measurements(arm, request.id, inputs, prompt))
            measured.append(MeasuredClip(request.id, numbers, features))
        return tuple(measured)

    def _measurements(
        self, arm: Arm, clip_id: str, inputs: Inputs, prompt: Prompt
    ) -> Iterator[Measurement]:
        names = [name for name in self._setup.metrics if _is_clip_metric(name)]
        oracle = [name for name in names if catalog.describe(_base_name(name)).target is None]
        for name in names:
            if name not in oracle:
                yield self._learned(name, arm, clip_id, inputs)
        if oracle:
            for name, value in oracle_values(inputs.reading, arm, prompt).items():
                if name in oracle:
                    yield _measurement(name, arm, clip_id, value)

    def _learned(self, name: str, arm: Arm, clip_id: str, inputs: Inputs) -> Measurement:
        info = catalog.describe(_base_name(name))
        if reason := self._alone(info.takes, clip_id) or self._unreadable(info.takes, inputs.text):
            return _measurement(name, arm, clip_id, None, reason=reason)
        arguments = [inputs.get(argument, name) for argument in info.takes]
        result = catalog.load(info.name)(*arguments)
        uses_clip = any("features" in argument for argument in info.takes)
        extractor = self._image_text_id if uses_clip else None
        return _measurement(
            name, arm, clip_id, result.value, reason=result.reason, extractor=extractor
        )

    def _alone(self, takes: Sequence[str], clip_id: str) -> str:
        """Return why a clip has no other beside it; empty where it has, or needs none."""
        partners = [self._setup.partners[one][clip_id] for one in takes if one in _PAIRED]
        return next((p.removeprefix(NO_PARTNER) for p in partners if p.startswith(NO_PARTNER)), "")

    def _unreadable(self, takes: Sequence[str], text: str) -> str:
        """Return why the image-text network cannot score a prompt; empty where it can, or need not.

        A prompt that is longer than the network reads would be scored for its beginning only.
        """
        if "text_features" not in takes:
            return ""
        if text not in self._unread:
            network = self._image_text
            count, most = network.token_counts([text])[0], network.max_tokens
            cut = f"the prompt has {count} tokens, {network.id} reads {most}: its end is not seen"
            self._unread[text] = network.why_not(text) or (cut if count > most else "")
        return self._unread[text]

    def partner(self, argument: str, clip_id: str) -> Frames:
        """Return the frames of the clip that is laid beside another; both are made here."""
        frames = self._reader.read_clip(self._setup.partners[argument][clip_id])
        return self._as_measured(frames, self._generated)

    @cached_property
    def _generated(self) -> Arm | None:
        """An arm that is made here: all have one shape, and so have rendered references."""
        return next((arm for arm in self._setup.arms.values() if not arm.is_imported), None)

    def _as_measured(self, frames: Frames, arm: Arm | None) -> Frames:
        """Bring a clip to the comparison protocol; imported ones are kept in that form."""
        return frames if arm is None else as_measured(frames, arm, self._setup.protocol)

    def video_features(self, clips: Frames) -> Floats:
        """Return features (n, d) of clips (n, t, h, w, 3)."""
        return np.asarray(self._video.features(clips), np.float64)

    @property
    def logit_scale(self) -> float:
        """The image-text network's own scale."""
        return float(self._image_text.logit_scale)

    @cached_property
    def _image_text_id(self) -> str:
        if (named := self._setup.judges.named) is not None:
            return named.extractor
        return f"{self._image_text.id}@{self._image_text.digest[:16]}"

    def image_features(self, frames: Frames) -> Floats:
        """Return unit features (t, d) of frames."""
        return np.asarray(self._image_text.image_features(frames), np.float64)

    def text_features(self, text: str) -> Floats:
        """Return the unit feature (d,) of a text, computed once."""
        if text not in self._texts:
            self._texts[text] = np.asarray(self._image_text.text_features([text])[0], np.float64)
        return self._texts[text]

    def style_features(self, style: str) -> Floats:
        """Return unit features (s, d) of a style's held-out stills, computed once."""
        from poc.tiny.stills import read_heldout

        if style not in self._styles:
            stills = read_heldout(self._setup.judges.stills_of(style))
            self._styles[style] = self.image_features(stills)
        return self._styles[style]

    def training_features(self, style: str) -> Floats:
        """Return unit features (n, d) of the stills that a style was trained on, computed once."""
        from poc.tiny.stills import read_training

        key = f"{style} training"
        if key not in self._styles:
            stills = read_training(self._setup.judges.stills_of(style))
            self._styles[key] = self.image_features(stills)
        return self._styles[key]

    def reference(self, task: ReferenceTask) -> Floats:
        """Return the video features (n, d) of a reference set, taken chunk by chunk."""
        arm = self._generated
        if task.spec is not None:  # already in the form that is measured
            folder = self._setup.folders[task.reference.name]
            clips = reference_frames(task.spec, task.reference, task.files, folder)
            chunks = (frames[None] for frames in clips)
        else:
            chunks = (
                np.stack([self._as_measured(clip, arm) for clip in chunk])
                for chunk in rendered_chunks(task)
            )
        parts = [self._video.features(chunk) for chunk in chunks]
        return np.concatenate(parts).astype(np.float64)


class Inputs:
    """What metrics take of one clip, each computed at its first use."""

    def __init__(self, bench: Bench, frames: Frames, prompt: Prompt, clip_id: str = "") -> None:
        self._bench, self._frames, self._prompt = bench, frames, prompt
        self._clip_id = clip_id

    @property
    def text(self) -> str:
        """The prompt as it was fed."""
        return self._prompt.text

    def get(self, argument: str, metric: str) -> Any:
        """Return an argument of the catalogue by its name there."""
        bench = self._bench
        supplies: dict[str, Callable[[], Any]] = {
            "frames": lambda: self._frames,
            "flows": lambda: self._flows,
            "speeds": lambda: self._speeds,
            "image_features": lambda: self._image_features,
            "text_features": lambda: bench.text_features(self._prompt.text),
            "style_features": lambda: bench.style_features(_style_name(metric)),
            "training_features": lambda: bench.training_features(_style_name(metric)),
            "logit_scale": lambda: bench.logit_scale,
            BASELINE: lambda: bench.partner(BASELINE, self._clip_id),
            UNPROMPTED: lambda: bench.partner(UNPROMPTED, self._clip_id),
        }
        if argument not in supplies:
            raise LookupError(f"metric {metric!r} takes {argument!r}, which no stage supplies")
        return supplies[argument]()

    @cached_property
    def _image_features(self) -> Floats:
        return self._bench.image_features(self._frames)

    @cached_property
    def _flows(self) -> Any:
        from metrics.motion import pair_flows

        return pair_flows(self._frames)

    @cached_property
    def _speeds(self) -> Any:
        from metrics.motion import speeds_of

        return speeds_of(self._flows)

    @cached_property
    def reading(self) -> Reading:
        """What the oracle of the tiny world sees."""
        from poc.tiny.oracle import read

        return read(self._frames)


# --- the stage -----------------------------------------------------------------------------------


def video_key(judges: Judges) -> str:
    """Name video features by the network that made them: no two networks are ever mixed."""
    named = judges.named_video
    return f"video_{judges.video_digest[:16]}" if named is None else named.key


def has_video(store: RunStore, identifier: str, judges: Judges) -> bool:
    """Return whether features of this very network are there."""
    return store.has_features(identifier) and video_key(judges) in store.read_features(identifier)


def recorded_video(store: RunStore) -> NamedVideo | None:
    """Return the video judge that a run's plan names, on the kind of device that measured here.

    None: the one that comes along.
    """
    named = named_video(store.plan.video_judge, "cpu")
    if named is None:
        return None
    tasks = (task.id for task in reference_tasks(store.plan).values())
    kept = (store.read_features(one) for one in tasks if store.has_features(one))
    return as_recorded(named, [key for arrays in kept for key in arrays])


def measure(
    store: RunStore,
    judges: Judges,
    machine: Machine,
    *,
    sets: Mapping[str, Path] | None = None,
    progress: Progress,
) -> None:
    """Measure every ok clip that has no numbers yet, and the reference sets.

    `sets` are the folders of reference sets that are not rendered, by name.
    """
    plan = store.plan
    tasks: list[Batch | ReferenceTask] = [
        *_open_references(store, judges),
        *_open_batches(store, judges),
    ]
    setup = MeasureSetup(
        run=store.path,
        judges=judges,
        metrics=plan.spec.metrics,
        arms={arm.id: arm for arm in plan.arms},
        prompts={prompt.id: prompt for prompt in plan.prompts},
        partners=partners(plan, ok_clips(store)),
        protocol=plan.spec.protocol,
        folders=sets or {},
    )
    progress("measure", 0, len(tasks))
    workers = max(1, min(machine.workers, len(tasks)))
    outcomes = run_tasks(setup, tasks, workers=workers, threads=machine.threads)
    for count, outcome in enumerate(outcomes, start=1):
        if outcome.error:
            raise RuntimeError(f"measuring failed: {outcome.error}")
        _keep(store, outcome.task, outcome.result, video_key(judges))
        progress("measure", count, len(tasks))


def _keep(store: RunStore, task: Batch | ReferenceTask, result: Any, key: str) -> None:
    """Publish features, then numbers; a clip whose features were lost keeps its numbers."""
    if isinstance(task, ReferenceTask):
        store.write_features(task.id, {key: result})
        return
    for clip in result:
        store.write_features(clip.clip_id, {key: clip.video_features})
    measured = {number.clip_id for number in store.measurements()}
    fresh = [clip for clip in result if clip.clip_id not in measured]
    if fresh:
        store.append_measurements([number for clip in fresh for number in clip.measurements])


def _open_batches(store: RunStore, judges: Judges) -> Iterator[Batch]:
    """Yield the ok clips of every batch in which one lacks numbers or features of this network.

    Always all ok clips of a batch together: features depend on the batch by rounding.
    """
    ok, measured = ok_clips(store), {number.clip_id for number in store.measurements()}
    for batch in store.plan.batches:
        clips = tuple(request for request in batch.clips if request.id in ok)
        if any(c.id not in measured or not has_video(store, c.id, judges) for c in clips):
            yield batch.model_copy(update={"clips": clips})


def _open_references(store: RunStore, judges: Judges) -> Iterator[ReferenceTask]:
    for task in reference_tasks(store.plan).values():
        if not has_video(store, task.id, judges):
            yield task


def partners(plan: Plan, ok: AbstractSet[str]) -> Partners:
    """Return the clip of the same prompt and replicate that each clip is laid beside, if any.

    For `baseline_frames` it is the baseline's; for `unprompted_frames` that of the arm which
    differs in an empty negative prompt alone. `ok` are the clips that can be read.
    """
    requests = [request for batch in plan.batches for request in batch.clips]
    places = {(one.arm_id, one.prompt_id, one.replicate): one.id for one in requests}
    unprompted = {arm.id: _unprompted(arm, plan.arms) for arm in plan.arms}

    elsewhere = {arm.id for arm in plan.arms if arm.is_imported}

    def beside(one: ClipRequest, arm_id: str | None, missing: str) -> str:
        if one.arm_id in elsewhere:
            return f"{NO_PARTNER}it was made elsewhere: its seed is not known"
        if arm_id is None or arm_id == one.arm_id:
            return f"{NO_PARTNER}{missing}"
        found = places.get((arm_id, one.prompt_id, one.replicate))
        if found is None or found not in ok:
            return f"{NO_PARTNER}the other arm has no valid clip of this prompt and seed"
        return found

    return {
        BASELINE: {
            one.id: beside(one, plan.baseline_id, "this is the baseline itself") for one in requests
        },
        UNPROMPTED: {
            one.id: beside(
                one, unprompted[one.arm_id], "no arm differs in an empty negative prompt alone"
            )
            for one in requests
        },
    }


def _unprompted(arm: Arm, arms: Sequence[Arm]) -> str | None:
    """Return the id of the arm that is this one with an empty negative prompt; None without."""
    if not arm.negative_prompt:
        return None
    wanted = _settings(arm.model_copy(update={"negative_prompt": ""}))
    return next((one.id for one in arms if _settings(one) == wanted), None)


def _settings(arm: Arm) -> Arm:
    """Return an arm without what tells it from others of the same settings."""
    return arm.model_copy(update={"id": "", "name": "", "role": ArmRole.CANDIDATE})


def reference_tasks(plan: Plan) -> dict[str | None, ReferenceTask]:
    """Return the reference set of each style (None: unstyled), named by its content."""
    texts = tuple(prompt.text for prompt in plan.prompts)
    asked = plan.spec.protocol
    form = [] if asked is None else [asked.model_dump(mode="json")]
    tasks: dict[str | None, ReferenceTask] = {}
    for one in plan.spec.references:
        said = one.model_dump(mode="json", exclude={"path"})
        if one.kind == "rendered":
            name = short_id([RENDERING, said, texts, *form])
            tasks[one.style] = ReferenceTask(one, texts, name)
        else:
            files = plan.files_of(one)
            name = short_id([said, sorted(files.items()), *form])
            tasks[one.style] = ReferenceTask(one, (), name, plan.spec, files)
    return tasks


def rendered_chunks(task: ReferenceTask) -> Iterator[Frames]:
    """Render clean clips of the plan's own prompts in turn, (n, t, h, w, 3) at a time."""
    from poc.tiny.world import Style, parse, render_clip

    count, seed = task.reference.rendering
    rng = np.random.default_rng(seed)
    style = Style(task.reference.style) if task.reference.style else None
    scenes = [parse(text) for text in task.texts]
    clips = (render_clip(scenes[i % len(scenes)], rng, style) for i in range(count))
    while chunk := list(itertools.islice(clips, _REFERENCE_CHUNK)):
        yield np.stack(chunk)


# --- the oracle ----------------------------------------------------------------------------------


def oracle_values(reading: Reading, arm: Arm, prompt: Prompt) -> dict[str, float | None]:
    """Compare what the oracle reads with what prompt and arm asked for; 1.0 right, 0.0 wrong.

    Style is right when it is the one asked for, or none where none was asked for. The texture of
    the background is no part of a prompt: it has to be there as in all pictures of the world.
    """
    right = {
        part: float(str(getattr(reading, part)) == prompt.attributes[part])
        for part in _ORACLE_PARTS
        if part in prompt.attributes
    }
    right["texture"] = float(reading.textured)
    values: dict[str, float | None] = {f"oracle_{part}": value for part, value in right.items()}
    values["oracle_all"] = float(all(right.values()))
    values["oracle_style"] = float(_style_read(reading) == arm.style)
    values["motion_extent_px"] = reading.extent_px
    values["corner_lift"] = reading.corner_lift
    return values


def _style_read(reading: Reading) -> str | None:
    style = str(reading.style) if reading.style is not None else "plain"
    return None if style in {"plain", "none"} else style


def ok_clips(store: RunStore) -> set[str]:
    """Return the ids of all clips that are ok."""
    return {
        clip.clip_id
        for generation in store.generations()
        for clip in generation.clips
        if clip.status is ClipStatus.OK
    }


# --- names and loading ---------------------------------------------------------------------------


def _base_name(metric: str) -> str:
    """Return the catalogue's name of a metric such as `style_similarity[pastel]`."""
    styled = _STYLED.fullmatch(metric)
    return styled["name"] if styled else metric


def _style_name(metric: str) -> str:
    styled = _STYLED.fullmatch(metric)
    if styled is None:
        raise LookupError(f"metric {metric!r} needs a style, as in {metric}[pastel]")
    return styled["style"]


def _is_clip_metric(metric: str) -> bool:
    return catalog.describe(_base_name(metric)).scope is catalog.Scope.CLIP


def load_image_text(judges: Judges) -> Any:
    """Return the network that sees frames and reads prompts.

    Raises:
        InputError: its files are not those of an open_clip network.
    """
    from metrics.extractors.base import WeightsError
    from metrics.extractors.clip import load_clip

    named = judges.named
    try:
        return load_clip(
            judges.image_text,
            extractor_id=IMAGE_TEXT_EXTRACTOR if named is None else named.id,
            batch_size=64,
            expected_sha256=None,
            device="cpu" if named is None else named.device,
        )
    except WeightsError as error:
        raise InputError(str(error)) from error


def load_video(judges: Judges) -> Any:
    """Return the network whose features FVD and KVD compare.

    Raises:
        InputError: its files are not those of such a network.
    """
    from metrics.extractors.base import WeightsError

    named = judges.named_video
    if named is None:
        from poc.tiny.video_network import load_video_extractor

        return load_video_extractor(judges.video, extractor_id=VIDEO_EXTRACTOR)
    try:
        return _loader(named.judge)(
            judges.video,
            preparation=preparation_of(named.judge),
            expected_sha256=None,
            device=named.device,
        )
    except WeightsError as error:
        raise InputError(str(error)) from error


def _loader(judge: VideoJudge) -> Callable[..., Any]:
    if judge.network.startswith("i3d"):
        from metrics.extractors.i3d import load_i3d

        return load_i3d
    from metrics.extractors.videomae import load_videomae

    return load_videomae


def check_video(judges: Judges, shape: ClipShape) -> None:
    """Load the video judge that a spec names once, so that a run does not begin with a bad one.

    Raises:
        InputError: its files are not those of such a network, or clips of this shape are too short
            for it.
    """
    if (named := judges.named_video) is None:
        return
    network = load_video(replace(judges, named_video=replace(named, device="cpu")))
    if network.minimum_frames > shape.num_frames:
        raise InputError(
            f"judge '{named.judge.id}' needs clips of {network.minimum_frames} frames, these have "
            f"{shape.num_frames}. Name another under 'judges', or make longer clips."
        )


def _measurement(
    metric: str,
    arm: Arm,
    clip_id: str,
    value: float | None,
    *,
    reason: str = "",
    extractor: str | None = None,
) -> Measurement:
    return Measurement(
        metric=metric,
        version=catalog.describe(_base_name(metric)).version,
        arm_id=arm.id,
        clip_id=clip_id,
        value=value,
        status=MeasurementStatus.OK if value is not None else MeasurementStatus.NOT_MEASURED,
        reason="" if value is not None else reason or "the oracle found no object",
        extractor=extractor if value is not None else None,
    )
