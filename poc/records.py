"""Every frozen type that crosses a boundary of the harness, and how each gets its id.

No files, clocks, networks or randomness here. A record is decoded once, strictly, from JSON text
(`Record.from_json`); unknown keys, wrong types, NaN and infinities are errors. Ids are digests of
content, so that nothing is ever looked up by a name or by the time it was made.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from enum import StrEnum
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

FORMAT_VERSION = 1
"""Version of the run folder; a reader refuses a newer one."""

PIPELINE_VERSION = 2
"""Version of `poc/pipelines`: part of an arm's id, raised when generated frames may change."""


class Record(BaseModel):
    """A frozen value with strict decoding and one canonical JSON text."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Decode strictly; raises `pydantic.ValidationError` naming every wrong field."""
        return cls.model_validate_json(text)

    def to_json(self) -> str:
        """Return the canonical JSON text (sorted keys, no spaces, no NaN)."""
        return canonical_json(self.model_dump(mode="json"))

    def content_digest(self) -> str:
        """Return the SHA-256 of the canonical JSON text: equal for equal content, however made."""
        return digest(self.model_dump(mode="json"))


def canonical_json(value: Any) -> str:
    """Return the one JSON text that stands for `value`.

    >>> canonical_json({"b": 1, "a": [True, None]})
    '{"a":[true,null],"b":1}'
    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def digest(value: Any) -> str:
    """Return the SHA-256 (64 hex digits) of the canonical JSON of `value`.

    >>> digest({"a": 1}) == digest({"a": 1}) != digest({"a": 2})
    True
    """
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def short_id(value: Any) -> str:
    """Return the first 16 hex digits of `digest`: the form used in file names and joins."""
    return digest(value)[:16]


def wording_id(text: str) -> str:
    """Return the id of a prompt's words, whatever its case, width, spaces and last full stop.

    >>> wording_id("A red  circle.") == wording_id("a red circle") != wording_id("a red ring")
    True
    """
    plain = " ".join(unicodedata.normalize("NFKC", text).split()).casefold()
    return short_id(["wording", plain.rstrip(" .。")])


# --- what the engineer declares ------------------------------------------------------------------


class SchedulerName(StrEnum):
    """Samplers the harness drives, all through diffusers' own classes."""

    DDIM = "ddim"
    DPMPP_2M = "dpmpp_2m"
    EULER = "euler"
    LCM = "lcm"
    FLOW_EULER = "flow_euler"
    """Euler on the straight path from noise to data that flow matching trains."""
    FLOW_LCM = "flow_lcm"
    """Consistency sampling on it, stochastic: from noise to data and part of the way back."""
    FLOW_UNIPC = "flow_unipc"
    """Second order multistep on the same path."""


FamilyName = Literal["animatediff", "wan", "ltx"]

LCM_GRID_STEPS = 50
"""Timesteps of the grid on which consistency models are sampled (AnimateLCM, section 4)."""


DECODED_AT_ONCE = 16
"""Frames that diffusers' AnimateDiffPipeline decodes at once when it is not told (v0.42)."""


class BetaSchedule(StrEnum):
    """How noise grows over the 1000 training timesteps, in diffusers' words."""

    LINEAR = "linear"
    SCALED_LINEAR = "scaled_linear"


class ArmRole(StrEnum):
    """What an arm is in a run for."""

    CANDIDATE = "candidate"
    """May be recommended."""
    CONTROL = "control"
    """Shows what a candidate's parts are worth; judged like one, never recommended."""


def _is_candidate(role: object) -> bool:
    return role is ArmRole.CANDIDATE


def _is_empty(items: object) -> bool:
    return items == ()


def _is_none(item: object) -> bool:
    return item is None


def _is_false(item: object) -> bool:
    return item is False


def _is_one(item: object) -> bool:
    return item == 1


class LatencyScenario(StrEnum):
    """How clips are asked for while they are timed; the terms are those of MLPerf Inference."""

    SINGLE = "single"
    """One clip at a time, as for a person who waits: what every latency says."""
    CONTROL = "control"
    """The baseline once more in the same round, one clip: what it differs by is no arm's doing."""
    OFFLINE = "offline"
    """Several clips in one call, as overnight: what throughput says."""


def _is_single(scenario: object) -> bool:
    return scenario is LatencyScenario.SINGLE


# Left out of the canonical JSON where they say nothing, so that a run planned before they existed
# keeps its digests.
_FIRST_ROLE: Any = Field(default=ArmRole.CANDIDATE, exclude_if=_is_candidate)
_NO_ITEMS: Any = Field(default=(), exclude_if=_is_empty)
_NOT_THERE: Any = Field(default=None, exclude_if=_is_none)
_SINGLE: Any = Field(default=LatencyScenario.SINGLE, exclude_if=_is_single)


class LoraUse(Record):
    """One LoRA as an arm applies it; the order of LoRAs in an arm matters."""

    model: str
    """Id of an entry in models.yaml."""
    scale: Annotated[float, Field(gt=0, le=2)]


def _is_true(item: object) -> bool:
    return item is True


class FastSettings(Record):
    """What an arm does to be faster; each setting is part of the arm's id.

    How far each may change a frame stands in `poc.fast_settings`.
    """

    channels_last: Annotated[bool, Field(exclude_if=_is_false)] = False
    """Weights and activations of convolutions with the channels innermost."""
    compile: Literal["default", "cuda_graphs"] | None = _NOT_THERE
    """`torch.compile`, without or with CUDA graphs; the first call takes minutes."""
    decode_frames: Annotated[int, Field(ge=1, le=1024)] | None = _NOT_THERE
    """Frames that the VAE decodes at once."""
    fuse_loras: Annotated[bool, Field(exclude_if=_is_true)] = True
    """False: LoRAs stay beside the weights, as a service that switches styles keeps them."""
    cpu_offload: Annotated[bool, Field(exclude_if=_is_false)] = False
    """Models wait in main memory, one at a time on the device: slower, for a small one."""


class ClipShape(Record):
    """Size of every clip of a run: `num_frames` x `height` x `width`, played at `fps`."""

    num_frames: Annotated[int, Field(ge=2, le=1024)]
    height: Annotated[int, Field(ge=8, le=4096)]
    width: Annotated[int, Field(ge=8, le=4096)]
    fps: Annotated[int, Field(ge=1, le=240)]


class ComparisonProtocol(Record):
    """The one form that every arm's clips are measured in where some were made elsewhere.

    Frames are picked and made smaller, never invented; what was made stays as it is.
    """

    seconds: Annotated[float, Field(gt=0, le=600)]
    fps: Annotated[int, Field(ge=1, le=240)]
    short_side: Annotated[int, Field(ge=8, le=4096)]


class Sampling(NamedTuple):
    """How an arm that is generated here samples its clips."""

    scheduler: SchedulerName
    steps: int
    guidance: float

    @property
    def nfe(self) -> int:
        """Network evaluations per clip: diffusers evaluates twice a step when guidance > 1."""
        return self.steps * (2 if self.guidance > 1 else 1)


class Arm(Record):
    """One fully resolved configuration under test, or clips that were made elsewhere.

    `id` is derived from all that can change its frames; `name` and `label` are for people. Of an
    imported arm nobody here knows models and settings: `base` and `motion_adapter` are empty,
    `scheduler`, `steps` and `guidance` None.
    """

    id: str
    name: str
    family: FamilyName | Literal["imported"]
    base: str
    motion_adapter: str | None
    """None: the base moves by itself."""
    scheduler: SchedulerName | None
    steps: Annotated[int, Field(ge=1, le=1000)] | None
    guidance: Annotated[float, Field(ge=1, le=30)] | None
    negative_prompt: str
    loras: tuple[LoraUse, ...]
    style: str | None
    """Style that the arm is asked for; decides its reference set. None: the base's own look."""
    dtype: Literal["float32", "float16", "bfloat16"]
    shape: ClipShape
    batch_size: Annotated[int, Field(ge=1, le=256)]
    model_digests: dict[str, str]
    """Id of each models.yaml entry in use -> digest of its files as pinned."""
    role: ArmRole = _FIRST_ROLE
    vae: str | None = _NOT_THERE
    """Model that decodes instead of the base's own VAE."""
    beta_schedule: BetaSchedule | None = _NOT_THERE
    """Noise schedule in place of the base's: that of the motion module's training."""
    weights: Literal["random"] | None = _NOT_THERE
    """Random: the architectures with weights drawn here, so that only times mean anything."""
    flow_shift: Annotated[float, Field(gt=0, le=20)] | None = _NOT_THERE
    """Of a flow: how far its timesteps are moved towards noise."""
    timesteps: tuple[Annotated[float, Field(ge=0, le=1000)], ...] | None = _NOT_THERE
    """Where a flow is sampled, instead of a grid of the pipeline's own."""
    fast: FastSettings | None = _NOT_THERE
    delivery_digest: str | None = _NOT_THERE
    """Of an imported arm: `Delivery.files_digest`, so of every take and every file."""

    @model_validator(mode="after")
    def _family(self) -> Self:
        settings = (self.scheduler, self.steps, self.guidance)
        known = sum(one is not None for one in settings)
        if known != (0 if self.is_imported else 3):
            raise ValueError("scheduler, steps and guidance are those of an arm generated here")
        if self.is_imported != (self.delivery_digest is not None):
            raise ValueError("an imported arm, and no other, has the digest of its delivery")
        return self

    @property
    def is_imported(self) -> bool:
        """True where the clips were made elsewhere."""
        return self.family == "imported"

    def may_lead(self, baseline: Arm) -> bool:
        """Whether this arm may be recommended in the baseline's place.

        Of the baseline's own family it must take fewer evaluations; an evaluation of another
        family costs otherwise, and its seconds have to tell.
        """
        if self.is_imported or self.role is not ArmRole.CANDIDATE:
            return False
        others = self.family != baseline.family
        return others or self.sampling.nfe < baseline.sampling.nfe

    @property
    def sampling(self) -> Sampling:
        """How the clips are sampled; raises ValueError where they were made elsewhere."""
        if self.scheduler is None or self.steps is None or self.guidance is None:
            raise ValueError(f"arm {self.name!r} was made elsewhere: its settings are not known")
        return Sampling(self.scheduler, self.steps, self.guidance)

    @property
    def nfe(self) -> int | None:
        """Network evaluations per clip; None where the clips were made elsewhere."""
        return None if self.is_imported else self.sampling.nfe


def arm_id(arm_fields: dict[str, Any]) -> str:
    """Return the declared id of an arm from its fields without `id`, `name` and `role`."""
    content = {k: v for k, v in arm_fields.items() if k not in {"id", "name", "role"}}
    return short_id({"pipeline_version": PIPELINE_VERSION, "arm": content})


class Prompt(Record):
    """One prompt: the text that is fed, the wording people see, and what is known of it."""

    id: str
    text: Annotated[str, Field(min_length=1, max_length=4000)]
    language: str
    text_ja: str
    attributes: dict[str, str]
    """Known truth or slice, such as shape, colour, lighting; empty when nothing is known."""


class OfflineSpec(Record):
    """The offline scenario: `clips` in one call, every arm in each of `repeats` rounds."""

    clips: Annotated[int, Field(ge=2, le=256)]
    repeats: Annotated[int, Field(ge=1, le=10000)]


class LatencySpec(Record):
    """The latency pass: `warmup` untimed calls per arm, then `repeats` rounds over all arms."""

    warmup: Annotated[int, Field(ge=1, le=100)]
    repeats: Annotated[int, Field(ge=1, le=10000)]
    control: Annotated[bool, Field(exclude_if=_is_false)] = False
    """Whether the baseline is timed against itself."""
    offline: OfflineSpec | None = _NOT_THERE


class ReferenceSet(Record):
    """A named set of clips that FVD and KVD are taken against.

    `poc.spec_judging` holds which keys go with which kind.
    """

    name: str
    kind: Literal["rendered", "folder"]
    """Clean clips of the tiny world, or clips of anybody's that lie in a folder."""
    style: str | None
    count: Annotated[int, Field(ge=8, le=100000)] | None = _NOT_THERE
    """Of rendered ones; so many as there are of a folder's."""
    seed: Annotated[int, Field(ge=0)] | None = _NOT_THERE
    path: Annotated[str, Field(min_length=1)] | None = _NOT_THERE
    """Folder of mp4, webm or gif files, or of one folder of png frames per clip; relative to the
    spec."""
    png_fps: Annotated[float, Field(gt=0, le=240)] | None = _NOT_THERE
    """Frames per second of clips that are folders of png frames."""

    @property
    def rendering(self) -> tuple[int, int]:
        """How many clips are rendered, and by which seed; `ValueError` for a folder."""
        if self.count is None or self.seed is None:
            raise ValueError(f"reference {self.name!r} is not rendered")
        return self.count, self.seed


class ReferenceClips(Record):
    """What lies in the folder of a reference set, as the plan takes it."""

    name: str
    """Of the reference set."""
    files: dict[str, str]
    """File name -> SHA-256; empty where there was no such folder when the plan was made."""


# --- criteria, written before the run ------------------------------------------------------------


class Comparison(StrEnum):
    """What a criterion looks at."""

    VALUE = "value"
    """The arm's own estimate."""
    DIFFERENCE = "difference"
    """Arm minus baseline, paired by prompt and replicate."""
    RATIO = "ratio"
    """Arm over baseline."""


class Weight(StrEnum):
    """A must blocks GO; a should is reported."""

    MUST = "must"
    SHOULD = "should"


class Criterion(Record):
    """A target and a minimum on one estimate, with the reason for both numbers.

    `direction` higher: `minimum <= target`; lower: `minimum >= target`; window: `minimum` and
    `target` are half-widths about `centre` on a log scale for ratios (0.8 to 1.25 is
    centre 1, half-width ln 1.25), with `minimum >= target`.
    """

    name: str
    metric: str
    comparison: Comparison
    direction: Literal["higher", "lower", "window"]
    target: float
    minimum: float
    centre: float | None = None
    weight: Weight
    applies_to: Literal["all", "styled", "unstyled"]
    each: str | None = _NOT_THERE
    """Asked of every slice of this factor: the worst one counts."""
    reason: Annotated[str, Field(min_length=10)]
    reason_ja: Annotated[str, Field(min_length=5)]

    @model_validator(mode="after")
    def _sides(self) -> Self:
        higher = self.direction == "higher"
        wrong = self.target < self.minimum if higher else self.target > self.minimum
        if wrong:
            raise ValueError(
                f"criterion {self.name!r}: target {self.target} lies on the wrong side of minimum "
                f"{self.minimum} for direction {self.direction!r}; swap them or the direction"
            )
        if (self.centre is not None) != (self.direction == "window"):
            raise ValueError(f"criterion {self.name!r}: give `centre` with direction window only")
        return self


class CriteriaFile(Record):
    """The criteria of one decision, hashed into the run before it starts."""

    name: str
    version: int
    purpose: str
    purpose_ja: str
    written: str
    """ISO date on which the numbers were fixed."""
    author: str
    criteria: Annotated[tuple[Criterion, ...], Field(min_length=1)]


# --- the spec and the plan -----------------------------------------------------------------------


class ClipsElsewhere(Record):
    """Where clips lie that somebody else made; both paths are relative to the spec."""

    folder: Annotated[str, Field(min_length=1)]
    """Of mp4, webm or gif files, or one folder of png frames per clip."""
    delivery: Annotated[str, Field(min_length=1)]
    """CSV that lists every take, see `poc.delivery`."""
    png_fps: Annotated[float, Field(gt=0, le=240)] | None = None
    """Frames per second of clips that are folders of png frames."""


class ArmSpec(Record):
    """One entry under `arms:`; lists are factors, `{steps}` and `{guidance}` fill the name."""

    name: Annotated[str, Field(max_length=80, pattern=r"^[^\x00-\x1f\x7f]+$")]
    role: ArmRole = _FIRST_ROLE
    family: FamilyName | Literal["imported"]
    base: str
    motion_adapter: str | None = None
    """None: the base moves by itself."""
    scheduler: SchedulerName | None
    steps: tuple[Annotated[int, Field(ge=1, le=1000)], ...]
    guidance: tuple[Annotated[float, Field(ge=1, le=30)], ...]
    negative_prompt: str
    loras: tuple[LoraUse, ...]
    style: str | None
    vae: str | None = _NOT_THERE
    beta_schedule: BetaSchedule | None = _NOT_THERE
    clips: ClipsElsewhere | None = _NOT_THERE
    """Of an imported arm, which has nothing else but a name, a role and a style."""
    flow_shift: Annotated[float, Field(gt=0, le=20)] | None = _NOT_THERE
    timesteps: tuple[Annotated[float, Field(ge=0, le=1000)], ...] | None = _NOT_THERE
    dtype: Literal["float32", "float16", "bfloat16"] | None = _NOT_THERE
    """In place of the spec's."""
    fast: FastSettings | None = _NOT_THERE


class Contrast(Record):
    """Two arms of one style to be compared with each other, and what that answers."""

    arm: str
    against: str
    """Both by their names; the difference is the first minus the second."""
    metrics: Annotated[tuple[str, ...], Field(min_length=1)]
    question: Annotated[str, Field(min_length=10, pattern=r"\S")]
    question_ja: Annotated[str, Field(min_length=5, pattern=r"\S")]


class JudgeSpec(Record):
    """Judges that a spec takes in place of those that come along; at least one of them."""

    image_text: Annotated[str, Field(min_length=1)] | None = _NOT_THERE
    """Entry of kind `image_text` in models.yaml: sees frames and stills, and reads prompts."""
    video: Annotated[str, Field(min_length=1)] | None = _NOT_THERE
    """Entry of kind `video_features`: its features are what FVD and KVD compare."""
    fvd: Literal["paper", "clean"] | None = _NOT_THERE
    """How that network sees frames, as `poc measure --fvd`; None: clean."""


class VideoJudge(Record):
    """The video network that a plan is judged by: numbers of two never compare."""

    id: str
    """Entry in models.yaml."""
    digest: str
    """Of its files as pinned, or `unpinned`."""
    network: str
    """Network, head and preparation with its version, such as `videomae/mean/clean-1`."""


class SliceSpec(Record):
    """Parts of the prompts that are also looked at alone."""

    by: Annotated[tuple[str, ...], Field(min_length=1)]
    """Attributes of the prompts; every value of each is a slice."""
    metrics: Annotated[tuple[str, ...], Field(min_length=1)]


class Choice(Record):
    """The arm that a sweep's decision recommends, written down before it is looked at again."""

    format_version: Literal[1]
    arm: str
    arm_id: str
    baseline_id: str
    plan_digest: str
    """Of the sweep in which it was chosen."""
    decision_digest: str
    time: str
    """UTC, ISO 8601."""
    used: tuple[str, ...] = _NO_ITEMS
    """`wording_id` of every prompt that the sweep had: none of them confirms. Empty where the
    choice was written down before this was kept."""

    def salt(self) -> str:
        """Return what draws the confirming run: it follows from what was chosen, not from when.

        To delete a choice and to choose again draws the same prompts and seed.
        """
        return digest([self.plan_digest, self.decision_digest, self.arm_id])

    def seed(self) -> int:
        """Return the seed of the confirming run: nobody can know it before the choice."""
        return int(self.salt()[:8], 16)


class SweepSpec(Record):
    """A spec as read: factors not yet expanded into arms. `poc.spec` makes it, `poc.plan` uses."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    """Also the name of the default run folder, hence no path separators."""
    question: str
    question_ja: str
    kind: Literal["procurement", "demonstration"]
    dataset: str
    prompts: Annotated[int, Field(ge=1, le=100000)]
    replicates: Annotated[int, Field(ge=1, le=10000)]
    seed: Annotated[int, Field(ge=0)]
    shape: ClipShape
    dtype: Literal["float32", "float16", "bfloat16"]
    batch_size: Annotated[int, Field(ge=1, le=256)]
    baseline: str
    arms: Annotated[tuple[ArmSpec, ...], Field(min_length=1)]
    metrics: tuple[str, ...]
    references: tuple[ReferenceSet, ...]
    latency: LatencySpec | None
    contrasts: tuple[Contrast, ...] = _NO_ITEMS
    slices: SliceSpec | None = _NOT_THERE
    criteria: str
    """Path of the criteria file, relative to the spec."""
    use: Literal["evaluation", "in_house", "advertising", "client_work"] | None = _NOT_THERE
    """What the clips are for: licences are held against it before a run."""
    hours: Annotated[float, Field(gt=0)] | None = _NOT_THERE
    """Most hours that generating and timing may take, by the plan's own range."""
    weights: Literal["random"] | None = _NOT_THERE
    """Random: latency before weights. Nothing is fetched, no clip is judged, arms are timed."""
    protocol: ComparisonProtocol | None = _NOT_THERE
    """Wanted where an arm is imported: the form in which the clips of all arms are measured."""
    status_quo: str | None = _NOT_THERE
    """Name of the control that is what is done today: every candidate of its style is compared with
    it, besides the baseline."""
    confirms: Choice | None = _NOT_THERE
    """Of a run that looks again at one arm, on prompts drawn after it was chosen."""
    judges: JudgeSpec | None = _NOT_THERE
    """None: those of the tiny world, which come along."""


class ClipRequest(Record):
    """A clip before it exists: arm x prompt x replicate, with the seed shared by all arms."""

    id: str
    arm_id: str
    prompt_id: str
    replicate: int
    """Of an imported arm: the attempt, counted from 0."""
    seed: int | None
    """None where the clip was made elsewhere."""


class Batch(Record):
    """Clips generated together and published whole; its make-up is frozen in the plan."""

    id: str
    arm_id: str
    block: int
    clips: Annotated[tuple[ClipRequest, ...], Field(min_length=1)]


class DeliveredTake(Record):
    """One take of a delivery as it is stated, with the digest of the file that was delivered."""

    prompt_id: str
    attempt: Annotated[int, Field(ge=1)]
    listed: bool
    """False: the delivery leaves it out."""
    file: str | None
    """None: nothing was delivered."""
    file_digest: str | None
    """None: there is no such file, or none that can be read."""
    price: float | None
    currency: str | None
    latency_s: float | None
    """Seconds from request to receipt."""
    picked: bool


class Delivery(Record):
    """What somebody else delivered for one arm: every take that the plan counts."""

    arm: str
    """Its name."""
    png_fps: float | None
    """Frames per second of its folders of png frames; None: not stated."""
    takes: Annotated[tuple[DeliveredTake, ...], Field(min_length=1)]

    def files_digest(self) -> str:
        """Return the digest of every take and file, whatever the arm is called."""
        return digest(self.model_dump(mode="json", exclude={"arm"}))


class Plan(Record):
    """All that will be made, in work order: block after block, every arm inside each block."""

    format_version: Literal[1]
    spec: SweepSpec
    spec_digest: str
    criteria: CriteriaFile
    criteria_digest: str
    arms: tuple[Arm, ...]
    baseline_id: str
    prompts: tuple[Prompt, ...]
    batches: tuple[Batch, ...]
    deliveries: tuple[Delivery, ...] = _NO_ITEMS
    image_text_digest: str | None = _NOT_THERE
    """Of the files of the judge that the spec names, as pinned: numbers of two never mix."""
    video_judge: VideoJudge | None = _NOT_THERE
    """None: that of the tiny world."""
    reference_clips: tuple[ReferenceClips, ...] = _NO_ITEMS
    """Of every reference set that is a folder."""

    @property
    def image_text(self) -> str | None:
        """Id of the image-text judge that the spec names; None: that of the tiny world."""
        return None if self.spec.judges is None else self.spec.judges.image_text

    @property
    def video(self) -> str | None:
        """Id of the video judge that the spec names; None: that of the tiny world."""
        return None if self.spec.judges is None else self.spec.judges.video

    def files_of(self, reference: ReferenceSet) -> dict[str, str]:
        """Return the files of a reference set by name; none of what is rendered, or not there."""
        found = (one.files for one in self.reference_clips if one.name == reference.name)
        return next(found, {})

    def size_of(self, reference: ReferenceSet) -> int:
        """Return how many clips a reference set has; 0: its folder was not there."""
        return len(self.files_of(reference)) if reference.count is None else reference.count

    @property
    def generated(self) -> tuple[Arm, ...]:
        """The arms whose clips are made here: those that can be timed."""
        return tuple(arm for arm in self.arms if not arm.is_imported)

    def delivery(self, arm: Arm) -> Delivery:
        """Return what was delivered for an imported arm."""
        return next(one for one in self.deliveries if one.arm == arm.name)


def clip_seed(base_seed: int, prompt_text: str, replicate: int) -> int:
    """Return the seed (0 .. 2**63-1) of a prompt's n-th clip: without the arm, so arms are paired.

    >>> clip_seed(1, "a", 0) == clip_seed(1, "a", 0)
    True
    """
    return int(digest([base_seed, prompt_text, replicate])[:16], 16) >> 1


# --- what is found before a run ------------------------------------------------------------------


class Severity(StrEnum):
    """Whether a finding stops a run."""

    ERROR = "error"
    WARNING = "warning"


class PreflightFinding(Record):
    """Something wrong with a plan, found before any model is loaded."""

    code: Annotated[str, Field(pattern=r"^[a-z]+(-[a-z]+)*$")]
    severity: Severity
    where: str
    text: str
    change: str
    """What to do about it."""


# --- what happened -------------------------------------------------------------------------------


class ClipStatus(StrEnum):
    """How a planned clip ended; a clip without a record is PENDING."""

    OK = "ok"
    FAILED = "failed"
    INVALID = "invalid"
    PENDING = "pending"


class ClipResult(Record):
    """One generated clip, or why there is none."""

    clip_id: str
    status: ClipStatus
    reason: str
    """Empty when ok."""
    frames_digest: str | None
    """SHA-256 of the lossless frames; None when there are none."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.status is ClipStatus.OK) != (self.reason == ""):
            raise ValueError("a clip that is not ok needs a reason, an ok one has none")
        if self.status is ClipStatus.OK and self.frames_digest is None:
            raise ValueError("an ok clip needs the digest of its frames")
        return self


class Generation(Record):
    """One batch as it was published: one line of generations.jsonl."""

    batch_id: str
    arm_id: str
    clips: tuple[ClipResult, ...]
    resolved_digest: str
    """Digest of `ResolvedArm`: the real weights, scheduler config and timesteps.

    Empty where the batch failed before they were known.
    """
    duration_s: float
    """Wall time of the batch; never used as a latency."""
    worker: int
    peak_memory_bytes: int | None = _NOT_THERE
    """Of a batch that failed: of the CUDA device in use, else of the process; None: not known."""


class ResolvedArm(Record):
    """What an arm turned out to be once loaded."""

    arm_id: str
    component_digests: dict[str, str]
    """Component -> SHA-256 over its tensors (name, shape, dtype, bytes)."""
    scheduler_class: str
    scheduler_config: dict[str, JsonValue]
    timesteps: tuple[float, ...]
    pipeline_arguments: dict[str, JsonValue]
    device: str
    """Kind of device, cpu or cuda: one arm's clips never come from two kinds."""
    fast: dict[str, str] = Field(default_factory=dict, exclude_if=lambda fast: not fast)
    """Fast settings as they are found on the networks."""


class Telemetry(Record):
    """What a GPU's driver tells of one timed clip; `untold` says why a value is None, by field.

    Energy is of the whole clip. All else is of the moment when the last frame was decoded: the
    device has just worked, and the processor is about to write the file.
    """

    energy_j: Annotated[float, Field(gt=0)] | None
    """Of the whole device, idle power and other processes included."""
    sm_clock_mhz: int | None
    memory_clock_mhz: int | None
    power_w: float | None
    """As the driver averages it: on newer devices over the last second."""
    temperature_c: int | None
    clock_reasons: tuple[str, ...] | None
    """Why clocks are not higher, as nvidia-smi names it; empty: nothing holds them down."""
    used_bytes: int | None
    """Of the device's memory, by every process and the driver."""
    other_processes: int | None
    """Compute processes on the device besides this one."""
    other_bytes: int | None
    """Of the device's memory, by these."""
    untold: dict[str, Annotated[str, Field(min_length=1)]]

    @model_validator(mode="after")
    def _missing_has_a_reason(self) -> Self:
        missing = {name for name, value in self if value is None}
        if missing != self.untold.keys():
            raise ValueError(f"untold: expected a reason for each of {sorted(missing)}")
        return self

    @property
    def throttled(self) -> bool | None:
        """Whether something besides idleness or a chosen clock held it back; None: not told."""
        reasons = self.clock_reasons
        return None if reasons is None else not NOT_THROTTLED.issuperset(reasons)


NOT_THROTTLED = frozenset({"gpu_idle", "applications_clocks_setting"})
"""Reasons for a lower clock that slow no work down against what was asked for."""


class LatencySample(Record):
    """One timed call of the latency pass: production settings, stages in seconds."""

    arm_id: str
    prompt_id: str
    """Of its first clip; others have the prompts that follow in the plan."""
    round: int
    """0 is the first timed round; -1 the cold first call, untimed warm-ups are not kept."""
    scenario: LatencyScenario = _SINGLE
    clips: Annotated[int, Field(ge=1, exclude_if=_is_one)] = 1
    """Made by this call."""
    text_s: float
    denoise_s: float
    decode_s: float
    encode_s: float
    total_s: float
    peak_memory_bytes: int
    device: str
    timing_version: Annotated[int, Field(exclude_if=lambda version: version == 1)] = 1
    """How it was timed: seconds and bytes of two versions are never compared."""
    started_unix_s: Annotated[float | None, Field(exclude_if=lambda at: at is None)] = None
    """When it began by the machine's clock: shows whether two runs were timed in turns."""
    telemetry: Telemetry | None = _NOT_THERE
    """None on a CPU, and in runs from before it was recorded."""


class LatencyFailure(Record):
    """An arm that could not be timed in a scenario, and is not timed again so in this run."""

    arm_id: str
    scenario: LatencyScenario = _SINGLE
    round: int
    """As in `LatencySample`: -1 where it failed while it was being warmed up."""
    reason: Annotated[str, Field(min_length=1)]
    peak_memory_bytes: int | None
    """Until it failed: of the CUDA device in use, else of the process; None: not known."""

    @property
    def told(self) -> str:
        """When and why it failed, with the memory that was in use until then.

        >>> LatencyFailure(arm_id="a", round=-1, reason="no room", peak_memory_bytes=2**31).told
        'failed while it was warmed up, 2.0 GiB in use at most: no room'
        """
        where = "while it was warmed up" if self.round < 0 else f"in round {self.round}"
        where += "" if self.scenario is LatencyScenario.SINGLE else f" ({self.scenario})"
        peak = self.peak_memory_bytes
        used = "" if peak is None else f", {peak / 2**30:.1f} GiB in use at most"
        return f"failed {where}{used}: {self.reason}"


class MeasurementStatus(StrEnum):
    """Whether a measurement has a value."""

    OK = "ok"
    MISSING = "missing"
    """The clip failed, is invalid or pending."""
    NOT_MEASURED = "not_measured"
    """The metric does not apply or could not be taken; the reason says why."""


class Measurement(Record):
    """One metric on one clip (`clip_id` set) or on one arm's set of clips (`clip_id` None)."""

    metric: str
    version: int
    arm_id: str
    clip_id: str | None
    value: float | None
    status: MeasurementStatus
    reason: str
    extractor: str | None
    """Id and digest of the network behind the number; None when there is none."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.status is MeasurementStatus.OK) != (self.value is not None):
            raise ValueError("a value belongs to status ok and to no other")
        if (self.status is MeasurementStatus.OK) != (self.reason == ""):
            raise ValueError("a missing value needs a reason, a present one has none")
        return self


# --- what follows from it ------------------------------------------------------------------------


class Counts(Record):
    """Where every planned clip of an arm went; the four parts sum to `planned`."""

    planned: int
    ok: int
    failed: int
    invalid: int
    pending: int

    @model_validator(mode="after")
    def _sum(self) -> Self:
        if self.ok + self.failed + self.invalid + self.pending != self.planned:
            raise ValueError("planned must equal ok + failed + invalid + pending")
        return self


class Estimate(Record):
    """A mean, difference or ratio with its interval and everything it stands on."""

    arm_id: str
    metric: str
    comparison: Comparison
    value: float | None
    low: float | None
    high: float | None
    level: float
    """Confidence level of the interval, such as 0.95."""
    method: str
    """How the interval was made, such as 'order statistics 2 and 6 of 7'."""
    n_clips: int
    n_prompts: int
    n_missing: int
    reason: str
    """Why value or interval is missing; empty when both are there."""
    notes: tuple[str, ...] = ()
    """Marks a reader must see: 'rank-deficient', 'noise floor 1.2 at n = 64'."""


class DeliverySummary(Record):
    """What a delivery of clips states of itself: nobody here measured price or time."""

    basis: Literal["stated, not measured"]
    takes: int
    """Listed takes, and those that are left out of the list."""
    ok: int
    picked: tuple[str, ...]
    """Takes that somebody chose by eye."""
    currency: str | None
    price_total: float | None
    price_per_ok: float | None
    price_reason: str
    latency_n: int
    latency_median_s: float | None
    latency_max_s: float | None


class ArmSummary(Record):
    """Everything known of one arm, as pages and the gate read it."""

    arm: Arm
    counts: Counts
    estimates: tuple[Estimate, ...]
    on_pareto_front: bool | None
    """Among measured arms by speed and quality; None when either is missing."""
    frontier_frequency: float | None
    """Share of resamples in which the arm lies on the front."""
    delivery: DeliverySummary | None = _NOT_THERE
    """Of an imported arm; never beside what was measured here."""
    not_timed: LatencyFailure | None = _NOT_THERE
    """Why it has no time at all, where timing it failed."""


class Standing(StrEnum):
    """How the first arm of a contrast stands to the second in one metric."""

    BETTER = "better"
    WORSE = "worse"
    DIFFERENT = "different"
    """They differ, in a metric that has no better side."""
    OPEN = "open"
    """No difference is shown, or too little is there to show one."""


class ContrastResult(Record):
    """One metric's difference, and what may be said of it."""

    estimate: Estimate
    standing: Standing


class ContrastEstimates(Record):
    """A contrast's answer: first arm minus second, paired by prompt, metric by metric."""

    arm_id: str
    against_id: str
    question: str
    question_ja: str
    results: tuple[ContrastResult, ...]


class SliceEstimates(Record):
    """Estimates over the prompts of one slice alone, of all arms."""

    factor: str
    value: str
    n_prompts: int
    estimates: tuple[Estimate, ...]


class Estimates(Record):
    """estimates.json: derived, may be deleted and recomputed at any time."""

    format_version: Literal[1]
    plan_digest: str
    baseline_id: str
    level: float
    resamples: int
    quality_metric: str
    """Metric of the Pareto front's quality axis."""
    arms: tuple[ArmSummary, ...]
    contrasts: tuple[ContrastEstimates, ...] = _NO_ITEMS
    slices: tuple[SliceEstimates, ...] = _NO_ITEMS
    complete: bool
    closed_reason: str | None


class Verdict(StrEnum):
    """Outcome of one criterion on one arm."""

    PASS = "PASS"
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"


class CriterionResult(Record):
    """A criterion applied to an arm, with how often resamples reach each line."""

    criterion: str
    arm_id: str
    verdict: Verdict
    value: float | None
    low: float | None
    high: float | None
    target_attainment: float | None
    """Share of resamples at or beyond the target (not a probability of truth)."""
    minimum_attainment: float | None
    reason: str
    slice: str | None = _NOT_THERE
    """Value of the factor at which the criterion stands worst, where it asks for each."""


class Light(StrEnum):
    """A light of the decision and the decision itself, from best to worst."""

    GO = "GO"
    CONDITIONAL = "CONDITIONAL"
    INSUFFICIENT_EVIDENCE = "INSUFFICIENT_EVIDENCE"
    NO_GO = "NO_GO"


class Finding(Record):
    """One thing a reader must know, in both languages."""

    text_en: str
    text_ja: str


class ArmDecision(Record):
    """The technical light of one candidate arm."""

    arm_id: str
    technical: Light
    results: tuple[CriterionResult, ...]


class RightsBasis(Record):
    """The rights answer that a decision stands on, where a rights file was given."""

    digest: str
    """Of the rights file, licences and parts, as the roles approve it."""
    on: str
    """Day that was judged, ISO 8601."""
    valid_until: str | None
    """Last day on which the rights light stands; None where nothing is allowed."""


class PriceBasis(Record):
    """The cost inputs that a decision stands on, where they were given."""

    digest: str
    """SHA-256 of the inputs file."""
    arm_id: str
    """Arm whose deliverable was priced."""
    seed: int
    """Of the simulation."""
    on: str | None = _NOT_THERE
    """Day that was judged, ISO 8601, where the prices have a last one."""
    valid_until: str | None = _NOT_THERE
    """Last day of the prices; None where they have none, or it had passed."""


class Decision(Record):
    """decision.json: the answer, with what it stands on and what would change it."""

    format_version: Literal[1]
    kind: Literal["procurement", "demonstration"]
    decision: Light
    technical: Light
    economic: Light
    rights: Light
    recommended_arm_id: str | None
    arms: tuple[ArmDecision, ...]
    criteria_digest: str
    criteria_edited: bool
    """True when these criteria are not the ones hashed into the run."""
    reasons: tuple[Finding, ...]
    conditions: tuple[Finding, ...]
    next_measurement: Finding | None
    """The cheapest next measurement that could change the answer."""
    estimates_digest: str
    rights_basis: RightsBasis | None = _NOT_THERE
    price_basis: PriceBasis | None = _NOT_THERE
    valid_until: str | None = _NOT_THERE
    """Last day on which rights and prices both stand, ISO 8601; None where none is named."""
