"""Reference sets of real clips: what lies in the folder that a spec names, and its frames.

A plan names every file with its digest, so a clip that is changed, added or taken away later is an
error. The clips are held against those of a run in one form: they are brought to its comparison
protocol, or, without one, have the run's own number, size and rate of frames. What cannot be is an
error too, never a clip less: fewer clips than planned would be another reference set.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from poc.clip_files import Source, list_clips, read_frames, reason_of, survey
from poc.clip_folder import ProtocolError
from poc.errors import InputError
from poc.imported import protocol_of
from poc.records import ClipShape, Delivery, Plan, ReferenceClips, ReferenceSet, SweepSpec
from poc.spec import measured_shape

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Frames = npt.NDArray[np.uint8]

FEWEST: Final = 8
"""Clips of a reference set, as of a rendered one."""
RATE_TOLERANCE: Final = 1e-3
"""Relative: containers round frame rates."""
_SHOWN: Final = 8


# --- the plan ------------------------------------------------------------------------------------


def folder_of(reference: ReferenceSet, beside: Path) -> Path:
    """Return the folder of a reference set of the spec that lies at `beside`."""
    return beside.parent / (reference.path or "")


def folders_of(plan: Plan, beside: Path) -> dict[str, Path]:
    """Return the folder of every reference set of a plan that has one, by its name."""
    folders = (one for one in plan.spec.references if one.kind == "folder")
    return {one.name: folder_of(one, beside) for one in folders}


def read_references(
    spec: SweepSpec, beside: Path, deliveries: Sequence[Delivery] = ()
) -> tuple[ReferenceClips, ...]:
    """Return what lies in the folders of a spec's reference sets; decodes nothing.

    A folder that is not there has no files: the pre-flight names it. `deliveries` are the clips to
    be judged that were made elsewhere: none of them may be its own reference.

    Raises:
        InputError: too few clips, one that is not whole, of another size or twice in it, or one
            that is to be judged.
    """
    takes = [(take.file_digest, one.arm) for one in deliveries for take in one.takes]
    judged = {digest: arm for digest, arm in takes if digest is not None}
    folders = [one for one in spec.references if one.kind == "folder"]
    return tuple(_clips(spec, one, folder_of(one, beside), judged) for one in folders)


def _clips(
    spec: SweepSpec, reference: ReferenceSet, folder: Path, judged: Mapping[str, str]
) -> ReferenceClips:
    if not folder.exists():
        return ReferenceClips(name=reference.name, files={})
    sources, _ = list_clips(folder)
    if len(sources) < FEWEST:
        raise InputError(
            f"{folder}: expected at least {FEWEST} clips for reference '{reference.name}', found "
            f"{len(sources)}. Add more, each of another scene."
        )
    names: dict[str, str] = {}
    faults = []
    for source in sources:
        found = survey(source)
        fault = found.problem or _misfit(spec, reference, source, found.size)
        digest = found.file_digest or ""
        if (twin := names.get(digest)) is not None:
            fault = f"is the same clip as {twin}; a copy adds nothing and would count"
        if (arm := judged.get(digest)) is not None:
            fault = f"is a clip of arm '{arm}', which is to be judged by it"
        if fault:
            faults.append(f"{source.name}: {fault}")
        else:
            names[digest] = source.name
    _refuse(folder, faults, len(sources))
    return ReferenceClips(name=reference.name, files={name: one for one, name in names.items()})


def _misfit(
    spec: SweepSpec, reference: ReferenceSet, source: Source, size: tuple[int, int] | None
) -> str:
    """Return why a clip cannot be brought to the form that is measured; its size tells."""
    if source.is_folder and reference.png_fps is None:
        return "is a folder of png frames, whose rate nobody states; give the reference 'png_fps'"
    if size is None:
        return "states no size"
    wanted = measured_shape(spec)
    try:
        height, width = protocol_of(spec.protocol).size(*size) if spec.protocol else size
    except ProtocolError as error:
        return str(error)
    if (height, width) == (wanted.height, wanted.width):
        return ""
    measured = f"the clips of the run are {wanted.width}x{wanted.height}"
    if spec.protocol is None:
        return f"has {width}x{height} pixels, {measured}; give the spec a 'protocol', or resize it"
    return (
        f"is {width}x{height} by the protocol, {measured}; nothing is cut off or squashed here, "
        "so crop it to that aspect ratio"
    )


def _refuse(folder: Path, faults: Sequence[str], total: int) -> None:
    if faults:
        more = len(faults) - _SHOWN
        lines = [f"{folder}: {len(faults)} of {total} clips cannot be a reference. Mend or remove:"]
        lines += [*faults[:_SHOWN], *([f"and {more} more"] if more > 0 else [])]
        raise InputError("\n  ".join(lines))


# --- the frames ----------------------------------------------------------------------------------


def check_references(plan: Plan, beside: Path) -> None:
    """Decode every clip of a plan's reference sets once, so that a bad one is told before a run.

    Raises:
        InputError: a clip that is not the planned one, cannot be decoded or judged, or is too
            short, slow or of another length.
    """
    for reference in plan.spec.references:
        if reference.kind == "folder":
            files, folder = plan.files_of(reference), folder_of(reference, beside)
            for _ in reference_frames(plan.spec, reference, files, folder):
                pass


def reference_frames(
    spec: SweepSpec, reference: ReferenceSet, planned: Mapping[str, str], folder: Path
) -> Iterator[Frames]:
    """Yield the clips of a reference set in the form that is measured, (t, h, w, 3), by name.

    `planned` has the SHA-256 of each file by its name.

    Raises:
        InputError: as `check_references`; every bad clip is named, after the good ones.
    """
    there = {source.name: source for source in list_clips(folder)[0]}
    if strange := sorted(there.keys() ^ planned.keys()):
        raise InputError(
            f"{folder}: {', '.join(strange[:_SHOWN])}: added or taken away since the plan was "
            "made. Put the folder back as it was, or begin anew with another --out."
        )
    faults = []
    for name, digest in sorted(planned.items()):
        try:
            yield _frames(spec, reference, there[name], digest)
        except _UnfitError as error:
            faults.append(f"{name}: {error}")
    _refuse(folder, faults, len(planned))


class _UnfitError(ValueError):
    """A clip that cannot be a reference, and why."""


def _frames(spec: SweepSpec, reference: ReferenceSet, source: Source, digest: str) -> Frames:
    from metrics.frames import DecodeError
    from metrics.validity import judge
    from poc.clip_work import resampled

    found = survey(source)
    if found.file_digest != digest:
        raise InputError(
            f"{source.path}: expected the file of digest {digest} that was planned, found "
            f"{found.file_digest or 'none'}. Put it back, or begin anew with another --out."
        )
    try:
        clip = read_frames(source, size=found.size, png_fps=reference.png_fps)
        if spec.protocol is not None:
            clip = resampled(clip, protocol_of(spec.protocol))
    except (DecodeError, ProtocolError) as error:
        raise _UnfitError(reason_of(error, source)) from error
    wanted = measured_shape(spec)
    planned = (wanted.num_frames, wanted.height, wanted.width)
    if clip.frames.shape[:3] != planned or not _same_rate(clip.fps, wanted):
        raise _UnfitError(
            f"{_shape(clip.frames.shape, clip.fps)}, the clips of the run have "
            f"{_shape(planned, wanted.fps)}; give the spec a 'protocol'"
        )
    verdict = judge(clip.frames)
    if not verdict.ok:
        raise _UnfitError(f"cannot be judged: {verdict.reason}")
    return clip.frames


def _same_rate(fps: float | None, wanted: ClipShape) -> bool:
    return fps is not None and abs(fps - wanted.fps) <= RATE_TOLERANCE * wanted.fps


def _shape(shape: Sequence[int], fps: float | None) -> str:
    rate = "no stated rate" if fps is None else f"{fps:.4g} fps"
    return f"{shape[0]} frames of {shape[2]}x{shape[1]} at {rate}"
