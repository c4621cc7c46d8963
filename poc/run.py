"""The main job as one story: read, plan, generate, time, measure, estimate, decide.

Every step reads what the one before it stored, so each can be repeated alone. Nothing is decided
here and nothing is computed twice: `conclude` is the only way from raw records to a decision.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ValidationError

from poc import disk, run_folder
from poc.claims import ClaimsReport, weigh
from poc.claims_file import read_claims
from poc.cost_records import MoneyOfRun
from poc.datasets import read_prompts
from poc.decide import decide
from poc.errors import InputError
from poc.estimate import evaluate
from poc.fingerprint import device_memory_bytes, take_fingerprint
from poc.governance_records import RightsOfRun, RightsResult
from poc.imported import ImportedClips, imported_clips, read_deliveries
from poc.licences import read_licences
from poc.lora_layers import fault as lora_fault
from poc.models import ModelKind, ModelTable, read_models, stills_of
from poc.plan import make_plan
from poc.preflight import Surroundings, line_of, preflight, refuse_errors, used_models
from poc.pricing import Pricing
from poc.rating_votes import stored_votes, votes_amiss
from poc.records import (
    CriteriaFile,
    Decision,
    Estimates,
    Plan,
    PreflightFinding,
    RightsBasis,
    VideoJudge,
)
from poc.reference_clips import check_references, folders_of, read_references
from poc.rights import rights_of
from poc.rights_light import RightsAnswer
from poc.spec import check_criteria, measured_shape, read_criteria, read_spec
from poc.store import Manifest, RunStore
from poc.table import table
from poc.turns import Turns
from poc.video_judge import named_video
from poc.vote_records import VotesOfRun

if TYPE_CHECKING:
    from poc.generate import Occupation

Progress = Callable[[str, int, int], None]
Clock = tuple[int, int]
"""Hour and minute of local time."""


class RightsAt(NamedTuple):
    """A rights file and the day on which it is judged."""

    path: Path
    on: date


@dataclass(frozen=True, slots=True)
class Beside:
    """What a decision is given beside the run's records; None leaves its light as it is."""

    criteria: CriteriaFile | None = None
    """Other criteria than the plan's own."""
    rights: RightsAt | None = None
    cost: Path | None = None
    """Inputs file of `poc cost`."""
    on: date | None = None
    """Day on which prices are judged that have a last one; None: today."""


_ALONE = Beside()
_OPTIONAL = frozenset({"money.json", "rights.json"})
"""Derived files that a run folder may lack: pages then say which command writes them."""
MAX_WORKERS = 8
RANDOM_WEIGHTS = ".random-weights"
"""Folder beside run folders; may be deleted at any time."""
_UNTIL = "--until"
_BESIDE_A_JUDGE = 2 * 2**30
"""Bytes that a process is taken to need beside the weights of its judge."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a command prints at its end."""

    complete: bool
    estimates: Estimates
    decision: Decision
    table: str
    claims: ClaimsReport
    path: Path
    money: MoneyOfRun | None = None
    """None: no prices were given, or no arm is recommended."""
    rights: RightsOfRun | None = None
    """None: no rights file was given."""
    occupation: Occupation | None = None
    """None: nothing was made by this command."""
    findings: tuple[str, ...] = ()
    """What a reader of the records must know: lines that were lost, a change of machine."""

    @property
    def all_ok(self) -> bool:
        """True when every planned clip was made and can be judged, and every arm was timed."""
        return self.complete and all(
            arm.counts.ok == arm.counts.planned and arm.not_timed is None
            for arm in self.estimates.arms
        )

    def derived(self) -> dict[str, str | None]:
        """Return the files of a run folder that follow from its raw records; None: no such file."""
        return {
            "estimates.json": self.estimates.to_json(),
            "money.json": None if self.money is None else self.money.to_json(),
            "rights.json": None if self.rights is None else self.rights.to_json(),
            "decision.json": self.decision.to_json(),
        }

    def as_json(self) -> dict[str, Any]:
        """Return the machine-readable form."""
        basis, until = self.decision.rights_basis, self.decision.valid_until
        stated: dict[str, Any] = {"rights": str(self.decision.rights)} if basis else {}
        failed = {arm.arm.name: arm.not_timed.told for arm in self.estimates.arms if arm.not_timed}
        stated |= {"not_timed": failed} if failed else {}
        stated |= {"occupation": asdict(self.occupation)} if self.occupation else {}
        return (
            stated
            | ({"valid_until": until} if basis or until else {})
            | {
                "complete": self.complete,
                "findings": list(self.findings),
                "decision": str(self.decision.decision),
                "kind": self.decision.kind,
                "claims": {one.claim.id: str(one.status) for one in self.claims.claims},
                "run": str(self.path),
            }
        )


def read_plan(spec_path: Path) -> tuple[Plan, ModelTable]:
    """Read everything a spec names and resolve it; loads no model and touches no device."""
    models = read_models()
    spec = read_spec(spec_path, models)
    criteria = read_criteria(spec_path.parent / spec.criteria)
    prompts = read_prompts(spec.dataset, spec.prompts, beside=spec_path)
    deliveries = read_deliveries(spec, prompts, spec_path)
    references = read_references(spec, spec_path, deliveries)
    return make_plan(spec, criteria, prompts, models, deliveries, references=references), models


def run(
    spec_path: Path,
    out: Path | None,
    *,
    workers: int | None,
    device: str,
    until: Clock | None,
    in_turns_with: Path | None = None,
    progress: Progress,
    warn: Callable[[str], None],
) -> RunResult:
    """Run a spec into `out`, going on where an earlier try stopped.

    `in_turns_with` is the folder of a run that another process makes at the same time: the two take
    turns at timing. `warn` is called with each warning of the pre-flight, before anything is
    loaded; an error of the pre-flight is an `InputError`.
    """
    plan, models = read_plan(spec_path)
    out, workers = out or Path("runs") / plan.spec.name, workers or _default_workers()
    devices = _devices(device)
    sharing = workers if devices == ("cpu",) else 1
    warnings = refuse_errors(check_plan(plan, models, out, device=device, workers=sharing))
    for each in devices:
        _refuse_slow(plan, each)
    for one in warnings:
        warn(line_of(one))

    from poc.generate import Machine
    from poc.golden import check_golden
    from poc.measure import check_video, measure
    from poc.pipelines.device import check_device

    for each in devices:
        check_device(each)
    turns = None if in_turns_with is None else _turns(plan, out, in_turns_with)
    check_golden(networks=True)
    folders = _random_folders(plan, models, out) if plan.spec.weights else _verified(plan, models)
    machine = Machine(workers, threads=1, devices=devices)
    judges = judges_of(
        models,
        {arm.style for arm in plan.arms},
        image_text=plan.image_text,
        video=plan.video_judge,
        device=machine.device,
    )
    check_video(judges, measured_shape(plan.spec))
    check_references(plan, spec_path)
    measuring = replace(machine, workers=measurers(judges, models, machine))
    imports = _imports(plan, spec_path)
    manifest = Manifest.of(spec_path.read_text("utf-8"), plan, take_fingerprint(), warnings)
    with RunStore.create_or_open(out, plan=plan, manifest=manifest) as store:
        occupation = _make(
            store, folders, machine, until, imports=imports, turns=turns, progress=progress
        )
        measure(store, judges, measuring, sets=folders_of(plan, spec_path), progress=progress)
        return replace(conclude(store, models), occupation=occupation)


def _turns(plan: Plan, out: Path, other: Path) -> Turns:
    """Return the turns of two runs; batches have none, and would disturb each other."""
    if plan.spec.latency and plan.spec.latency.offline:
        raise InputError(
            f"--in-turns-with {other}: expected a spec that times single clips alone, got one with "
            "'latency.offline'. Take that out of both specs."
        )
    return Turns(out, other)


def _devices(given: str) -> tuple[str, ...]:
    """Return the devices that `--device` names, each once: every one gets a process of its own."""
    devices = tuple(one.strip() for one in given.split(","))
    if len(set(devices)) < len(devices) or ("cpu" in devices and len(devices) > 1):
        raise InputError(
            f"--device {given}: expected cpu, or CUDA devices, each once, such as cuda:0,cuda:1. "
            "For several processes on a CPU give --workers."
        )
    return devices


def _imports(plan: Plan, spec_path: Path) -> dict[str, ImportedClips]:
    """Return the clips of every arm that was made elsewhere."""
    return {
        arm.id: imported_clips(plan.spec, plan.delivery(arm), spec_path)
        for arm in plan.arms
        if arm.is_imported
    }


def _verified(plan: Plan, models: ModelTable) -> dict[str, Path]:
    return {model: models.verify(model) for arm in plan.arms for model in arm.model_digests}


def _random_folders(plan: Plan, models: ModelTable, out: Path) -> dict[str, Path]:
    """Return folders of random weights, drawn once beside the runs and found there again.

    Models of one architecture have the same weights: what they say does not matter to a clock.
    """
    from poc.pipelines.random_weights import write_random

    home, dtype, folders = out.parent / RANDOM_WEIGHTS, plan.spec.dtype, dict[str, Path]()
    for arm in plan.arms:
        for model, digest in arm.model_digests.items():
            folder = folders[model] = home / f"{digest[:16]}-{dtype}"
            with disk.explained(folder):
                write_random(models.architecture(model), folder, dtype=dtype)
    return folders


def _default_workers() -> int:
    return min(os.cpu_count() or 1, MAX_WORKERS)


def _refuse_slow(plan: Plan, device: str) -> None:
    """Refuse number formats that the planned time takes for a GPU's, where there is none."""
    dtypes = {arm.dtype for arm in plan.arms} - {"float32"}
    if device == "cpu" and dtypes:
        raise InputError(
            f"--device cpu: expected float32 arms, got {', '.join(sorted(dtypes))}. "
            "Give --device cuda:0, or dtype: float32 in the spec."
        )
    fast = [(arm.name, arm.fast) for arm in plan.arms if arm.fast]
    graphs = [name for name, asked in fast if asked.compile == "cuda_graphs"]
    if device == "cpu" and graphs:
        raise InputError(
            f"--device cpu: 'compile: cuda_graphs' does nothing there ({', '.join(graphs)}). "
            "Give --device cuda:0, or compile: default in the spec."
        )
    offloaded = [name for name, asked in fast if asked.cpu_offload]
    if device == "cpu" and offloaded:
        raise InputError(
            f"--device cpu: 'cpu_offload' does nothing there ({', '.join(offloaded)}): models are "
            "in main memory already. Give --device cuda:0, or remove it from the spec."
        )


def check_plan(
    plan: Plan, models: ModelTable, out: Path, *, device: str | None = None, workers: int = 1
) -> tuple[PreflightFinding, ...]:
    """Return what the pre-flight finds here; without a `device` memory is not judged."""
    used = dict.fromkeys(used_models(plan))
    hub = [model for model in used if models.resolve(model).entry.hub is not None]
    with disk.explained(out):
        free = disk.free_bytes(out)
    around = Surroundings(
        free_disk_bytes=free,
        memory_bytes=None if device is None else _least_memory(_devices(device)),
        workers=workers,
        not_fetched=tuple(model for model in hub if not models.resolve(model).folder.is_dir()),
        lora_faults={} if plan.spec.weights else dict(_lora_faults(plan, models)),
    )
    return preflight(plan, models, read_licences(), around)


def _lora_faults(plan: Plan, models: ModelTable) -> Iterator[tuple[str, str]]:
    """Yield the LoRAs that are there and do not fit the base and motion module of an arm."""
    uses = (
        (arm.base, arm.motion_adapter, use.model) for arm in plan.generated for use in arm.loras
    )
    for base, motion, lora in dict.fromkeys(uses):
        home = models.resolve(base).folder
        network = home / ("unet" if (home / "unet").is_dir() else "transformer")
        parts = [network, *([models.resolve(motion).folder] if motion else [])]
        files = sorted(models.resolve(lora).folder.rglob("*.safetensors"))
        try:
            found = lora_fault(files[0], parts) if len(files) == 1 else ""
        except InputError:
            continue  # a damaged file: a run compares all of them with their digests and names it
        if found:
            yield lora, found


def _least_memory(devices: Iterable[str]) -> int | None:
    """Return the memory of the smallest device; None where nobody says of one of them."""
    found = [device_memory_bytes(one) for one in devices]
    known = [one for one in found if one is not None]
    return min(known) if len(known) == len(found) else None


def _make(
    store: RunStore,
    folders: dict[str, Path],
    machine: Any,
    until: Clock | None,
    *,
    imports: dict[str, ImportedClips],
    turns: Turns | None,
    progress: Progress,
) -> Occupation | None:
    """Run both passes; a run that stopped at its `--until` is taken up again."""
    from poc.generate import latency_pass, quality_pass

    if (store.closed_reason or "").startswith(_UNTIL):
        store.reopen("started again")
    if store.closed_reason is not None:
        return None
    deadline = _deadline(until)
    occupation = quality_pass(
        store, folders, machine, deadline=deadline, progress=progress, imports=imports
    )
    if until is not None and store.pending_batches():
        store.close(f"{_UNTIL} {until[0]:02d}:{until[1]:02d}: stopped at a complete block")
        return occupation
    latency_pass(store, folders, machine, turns=turns, progress=progress)
    return occupation


def judges_of(
    models: ModelTable,
    styles: Collection[str | None] = (),
    *,
    image_text: str | None = None,
    video: VideoJudge | None = None,
    device: str = "cpu",
) -> Any:
    """Return the judges that models.yaml names and the stills of some styles, verified.

    `image_text` is the entry that a spec names and `video` the video judge of its plan; both run on
    `device`. Without them it is the networks of the tiny world. Numbers derived from a run's
    records need no network: see `judges_on_record`.
    """
    from poc.measure import Judges, NamedJudge

    def only(kind: ModelKind) -> str:
        return next(key for key, model in models.models.items() if model.entry.kind is kind)

    shown = only(ModelKind.VIDEO_FEATURES) if video is None else video.id
    named = None
    if image_text is not None:
        named = NamedJudge(image_text, models.pinned_digest(image_text), device)
    return Judges(
        image_text=models.verify(image_text or only(ModelKind.IMAGE_TEXT)),
        video=models.verify(shown),
        video_digest=models.pinned_digest(shown),
        stills=models.verify(only(ModelKind.STILLS)),
        own_stills={
            style: models.verify(own.entry.id)
            for style in styles
            if style is not None and (own := stills_of(models, style))
        },
        named=named,
        named_video=named_video(video, device),
    )


def judges_on_record(store: RunStore, models: ModelTable) -> Any:
    """Return the judges whose features a run has: enough to derive numbers, not to take any."""
    from poc.measure import recorded_video

    judges, video = judges_of(models), store.plan.video_judge
    if video is None:
        return judges
    return replace(judges, video_digest=video.digest, named_video=recorded_video(store))


def measurers(judges: Any, models: ModelTable, machine: Any) -> int:
    """Return how many processes measure with the judges that a spec names.

    The image-text one is loaded once, so that one that cannot be is told before the first clip.
    Each process holds them in float32; half the memory is left to what generated.
    """
    from poc.measure import load_image_text

    named = [judges.named.id] if judges.named else []
    named += [judges.named_video.judge.id] if judges.named_video else []
    if not named:
        return int(machine.workers)
    if judges.named is not None:
        load_image_text(replace(judges, named=replace(judges.named, device="cpu")))
    memory = device_memory_bytes(machine.device)
    sizes = [models.resolve(judge).entry.parameters for judge in named]
    known = [size for size in sizes if size is not None]
    if memory is None or len(known) < len(sizes):
        return 1
    fitting = memory // 2 // (4 * sum(known) + _BESIDE_A_JUDGE)
    return int(max(1, min(machine.workers, fitting)))


def conclude(
    store: RunStore,
    models: ModelTable,
    beside: Beside = _ALONE,
) -> RunResult:
    """Derive estimates and decision from the raw records and write what follows from them."""
    result = derive(store, models, beside)
    for name, text in result.derived().items():
        if text is None:
            store.remove_derived(name)
        else:
            store.write_derived(name, text)
    return result


def derive(
    store: RunStore,
    models: ModelTable,
    beside: Beside = _ALONE,
) -> RunResult:
    """Derive estimates and decision from the raw records; writes nothing."""
    from poc.set_metrics import set_estimates

    plan, latencies = store.plan, store.timed()
    sets = set_estimates(store, judges_on_record(store, models))
    evidence = evaluate(
        plan,
        store.generations(),
        store.measurements(),
        latencies,
        sets.of_arms,
        closed_reason=store.closed_reason,
        set_differences=sets.of_contrasts,
        latency_failures=store.latency_failures(),
    )
    licences = {key: model.entry.commercial_use for key, model in models.models.items()}
    asked = beside.criteria or plan.criteria
    rights = None if beside.rights is None else _judged_rights(plan, models, beside.rights)
    pricing = None
    if beside.cost is not None:
        pricing = Pricing(store, evidence.estimates, beside.cost, on=beside.on or _today())
    decision = decide(
        plan,
        evidence.estimates,
        asked,
        evidence.draws,
        licences=licences,
        rights=None if rights is None else _rights_answer(rights),
        price=pricing,
        votes=_votes(store),
        withdrawn={arm for one in store.redactions() for arm in one.arms},
    )
    return RunResult(
        complete=evidence.estimates.complete,
        estimates=evidence.estimates,
        decision=decision,
        table=table(evidence.estimates, decision, asked),
        claims=weigh(
            read_claims(),
            evidence.estimates,
            kind=plan.spec.kind,
            devices=[sample.device for sample in latencies],
        ),
        path=store.path,
        money=None if pricing is None else pricing.found,
        rights=None if rights is None else _rights_file(plan, rights, decision.rights_basis),
        findings=store.findings,
    )


def _votes(store: RunStore) -> VotesOfRun | None:
    """Return the summed-up votes; None where there are none, or where they do not hold."""
    try:
        return stored_votes(store.path, store.plan)
    except InputError:  # `poc verify` and `poc rate show` say what is wrong with them
        return None


def _judged_rights(plan: Plan, models: ModelTable, rights: RightsAt) -> RightsResult:
    return rights_of(plan, models, rights.path, on=rights.on)


def _rights_file(plan: Plan, found: RightsResult, basis: RightsBasis | None) -> RightsOfRun | None:
    if basis is None:
        return None
    return RightsOfRun(format_version=1, kind=plan.spec.kind, basis=basis, result=found)


def _rights_answer(found: RightsResult) -> RightsAnswer:
    ends = {arm.arm_id: arm.valid_until for arm in found.arms}
    return RightsAnswer(
        lights={arm.arm_id: arm.light for arm in found.arms},
        valid_until={arm: end.isoformat() if end else None for arm, end in ends.items()},
        digest=found.digest,
        on=found.on.isoformat(),
    )


def decide_again(
    path: Path,
    *,
    criteria: Path | None,
    rights: RightsAt | None = None,
    cost: Path | None = None,
    on: date | None = None,
) -> RunResult:
    """Decide from a run folder as it is; nothing is generated or measured."""
    with RunStore.open_writer(path) as store:
        asked = read_criteria(criteria) if criteria else None
        if asked is not None:
            check_criteria(store.plan.spec, asked)
        return conclude(store, read_models(), Beside(asked, rights, cost, on))


def derived_estimates(path: Path) -> Estimates:
    """Derive the estimates of a run again; writes nothing. Raises `InputError` for no run."""
    return derive(RunStore.open_reader(path), read_models()).estimates


def read_estimates(path: Path) -> Estimates:
    """Read the estimates of a report: estimates.json, or a folder with it.

    Raises `InputError` where there are none.
    """
    file = path / "estimates.json" if path.is_dir() else path
    try:
        return Estimates.from_json(run_folder.read_text(file))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise InputError(
            f"{file}: expected the estimates of a run, as `poc report --format summary` keeps "
            f"them, got something else ({where}: {first['msg']}). Give another file or folder."
        ) from error


def verify(
    path: Path,
    *,
    criteria: Path | None,
    rights: Path | None = None,
    cost: Path | None = None,
    clips: bool = True,
) -> tuple[str, ...]:
    """Return what does not hold in a run folder: nothing when all of it follows from its records.

    Without `clips` it is one whose clips lie elsewhere: their frames are not looked at.

    Estimates and decision are derived again and compared to the byte, and so are money.json,
    rights.json and the summed-up votes where they are there; every clip's frames are compared with
    the digest in its record, and damaged records are named. Measurements, features and answers are
    taken as they are: this catches accidents and edited results, not a forged measurement. Writes
    nothing; needs no network.
    """
    store = RunStore.open_reader(path)
    asked = read_criteria(criteria) if criteria else None
    day = _day_decided(store)
    at = None if rights is None else RightsAt(rights, day)
    beside = Beside(asked, at, cost, day)
    derived = (*_derived_amiss(store, beside), *votes_amiss(path, store.plan))
    frames = _clips_amiss(store) if clips else ()
    return (*store.damage, *frames, *derived)


def _day_decided(store: RunStore) -> date:
    """Return the day on which decision.json judged rights and prices; without one, today."""
    decision = _decision_of(store)
    bases = (decision.rights_basis, decision.price_basis) if decision is not None else ()
    days = [basis.on for basis in bases if basis is not None and basis.on is not None]
    try:
        return date.fromisoformat(days[0]) if days else _today()
    except ValueError:  # an edited day is named by the comparison that follows
        return _today()


def _decision_of(store: RunStore) -> Decision | None:
    """Return what decision.json says; of one that is absent or damaged, None."""
    text = store.read_derived("decision.json")
    try:
        return None if text is None else Decision.from_json(text)
    except ValueError:
        return None


def valid_until(path: Path) -> str | None:
    """Return the last day of a run's decision, ISO 8601; None where it names none."""
    decision = _decision_of(RunStore.open_reader(path))
    return None if decision is None else decision.valid_until


def is_complete(path: Path) -> bool:
    """Return whether a run's estimates stand on all that its plan asks for; without any: False."""
    text = RunStore.open_reader(path).read_derived("estimates.json")
    try:
        return text is not None and Estimates.from_json(text).complete
    except ValueError:  # `verify` names a damaged file
        return False


def _today() -> date:
    return datetime.now().astimezone().date()


def _clips_amiss(store: RunStore) -> Iterator[str]:
    for clip_id, result in store.results().items():
        if result.frames_digest is None or store.is_redacted(clip_id):
            continue
        try:
            store.read_clip(clip_id)
        except InputError as error:
            yield str(error)


def _derived_amiss(store: RunStore, beside: Beside) -> Iterator[str]:
    try:
        derived = derive(store, read_models(), beside).derived()
    except ValueError as error:
        yield f"{store.path}: the records contradict each other: {error}"
        return
    for name, text in derived.items():
        there = store.read_derived(name)
        if there is None:
            # A run that was decided before there was such a file is none the worse for it.
            if name not in _OPTIONAL:
                yield f"{store.path / name}: is not there. `poc decide {store.path}` writes it."
        elif there != text:
            yield (
                f"{store.path / name}: is not what follows from the records. It was edited, made "
                "before votes came in, or "
                "made by another version, by other judges or, where decision.json says "
                "criteria_edited, rights_basis or price_basis, with the file of --criteria, "
                "--rights or --cost."
            )


def close(path: Path, reason: str) -> RunResult:
    """End a run for good at its last complete block."""
    with RunStore.open_writer(path) as store:
        store.close(reason)
        return conclude(store, read_models())


def _deadline(until: Clock | None) -> Callable[[], bool]:
    """Return a question that turns True at the next `until` of local time."""
    if until is None:
        return lambda: False
    now = datetime.now().astimezone()
    end = now.replace(hour=until[0], minute=until[1], second=0, microsecond=0)
    end += timedelta(days=1) if end <= now else timedelta()
    return lambda: datetime.now().astimezone() >= end
