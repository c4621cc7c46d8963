"""Arms of clips that somebody else made: what was delivered, and its takes in the form compared.

A plan names every take and the digest of its file, so a file that is changed later is an error. The
files stay as they are; a run keeps the frames that it measured. Nobody here timed or paid for them:
price and time are what the delivery states.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from poc.clip_files import Source, decoder_id, list_clips, read_frames, reason_of, survey
from poc.clip_folder import Protocol, ProtocolError, common_size, listed
from poc.delivery import COLUMNS, Take, parse_delivery
from poc.errors import InputError
from poc.records import (
    Arm,
    ArmSpec,
    ClipsElsewhere,
    ClipShape,
    ComparisonProtocol,
    DeliveredTake,
    Delivery,
    Prompt,
    ResolvedArm,
    SweepSpec,
)
from poc.spec import measured_shape

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Frames = npt.NDArray[np.uint8]

NOT_DELIVERED: Final = "nothing was delivered"


class NotDeliveredError(ValueError):
    """A take without frames: it was never delivered, or cannot be decoded."""


def protocol_of(asked: ComparisonProtocol) -> Protocol:
    """Return a spec's comparison protocol as clips are brought to it."""
    return Protocol(asked.seconds, asked.fps, asked.short_side)


# --- what was delivered --------------------------------------------------------------------------


def read_deliveries(
    spec: SweepSpec, prompts: Sequence[Prompt], beside: Path
) -> tuple[Delivery, ...]:
    """Return what was delivered for every imported arm of a spec that lies at `beside`.

    A prompt of the plan without a take, and an attempt that the list leaves out, is a take that was
    not delivered.

    Raises:
        InputError: no such folder or list, a take of a prompt that the plan does not have, or clips
            of another shape than those made here.
    """
    return tuple(_delivery(spec, arm, prompts, beside) for arm in spec.arms if arm.clips)


def _delivery(spec: SweepSpec, arm: ArmSpec, prompts: Sequence[Prompt], beside: Path) -> Delivery:
    said = _said(arm)
    folder, table = beside.parent / said.folder, beside.parent / said.delivery
    sources = {source.name: source for source in list_clips(folder)[0]}
    takes = parse_delivery(_read(table), str(table), list(sources))
    known = {_plain(prompt.text): prompt.id for prompt in prompts}
    strange = list(dict.fromkeys(take.prompt for take in takes if take.prompt not in known))
    if strange:
        raise InputError(
            f"{table}: {listed([repr(one) for one in strange], 3)}: no prompt of dataset "
            f"'{spec.dataset}' as this plan takes it. Arms are compared by prompt: ask for its "
            f"{len(prompts)} prompts, word for word."
        )
    surveys = {name: survey(source) for name, source in sources.items()}
    _refuse_other_shapes(spec, folder, [found.size for found in surveys.values()])
    digests = {name: found.file_digest for name, found in surveys.items()}
    by_place = {(known[take.prompt], take.attempt): take for take in takes}
    return Delivery(
        arm=arm.name,
        png_fps=said.png_fps,
        takes=tuple(_takes(by_place, [prompt.id for prompt in prompts], digests)),
    )


def _said(arm: ArmSpec) -> ClipsElsewhere:
    if arm.clips is None:
        raise ValueError(f"arm {arm.name!r} is not imported")
    return arm.clips


def _plain(text: str) -> str:
    return " ".join(text.split())


def _read(table: Path) -> str:
    try:
        return table.read_text("utf-8-sig")
    except (OSError, ValueError) as error:
        raise InputError(
            f"{table}: expected a readable CSV in UTF-8 ({error}) with the columns "
            f"{','.join(COLUMNS)}."
        ) from error


def _refuse_other_shapes(
    spec: SweepSpec, folder: Path, sizes: Iterable[tuple[int, int] | None]
) -> None:
    """Refuse clips most of which have another aspect ratio: nothing is cut off or squashed here."""
    if spec.protocol is None:
        return
    protocol, measured = protocol_of(spec.protocol), measured_shape(spec)
    most = common_size(size for size in sizes if size is not None)
    if most is None or min(most) < protocol.short_side:
        return  # each such clip is invalid, and says why
    height, width = protocol.size(*most)
    if (height, width) != (measured.height, measured.width):
        raise InputError(
            f"{folder}: most clips are {width}x{height} pixels by the protocol, those made here "
            f"{measured.width}x{measured.height}. Ask for clips of one aspect ratio, or compare "
            "them by `poc measure --beside`."
        )


def _takes(
    takes: Mapping[tuple[str, int], Take], prompts: Sequence[str], digests: Mapping[str, str | None]
) -> Iterator[DeliveredTake]:
    """Yield every take by prompt and attempt; attempts are numbered from 1, without a gap."""
    for prompt in prompts:
        last = max((attempt for one, attempt in takes if one == prompt), default=1)
        for attempt in range(1, last + 1):
            take = takes.get((prompt, attempt))
            yield DeliveredTake(
                prompt_id=prompt,
                attempt=attempt,
                listed=take is not None,
                file=take.file if take else None,
                file_digest=digests.get(take.file) if take and take.file else None,
                price=take.price if take else None,
                currency=take.currency if take else None,
                latency_s=take.latency_s if take else None,
                picked=take.picked if take else False,
            )


# --- its clips -----------------------------------------------------------------------------------


def as_measured(frames: Frames, arm: Arm, asked: ComparisonProtocol | None) -> Frames:
    """Bring a clip that was made here to the comparison protocol; imported ones are kept so."""
    from metrics.frames import DecodedClip
    from poc.clip_work import resampled

    if asked is None or arm.is_imported:
        return frames
    return resampled(DecodedClip(frames, arm.shape.fps), protocol_of(asked)).frames


@dataclass(frozen=True)
class ImportedClips:
    """The clips of one imported arm, each read once and brought to the form that is compared."""

    folder: Path
    delivery: Delivery
    protocol: Protocol
    shape: ClipShape

    @cached_property
    def _sources(self) -> Mapping[str, Source]:
        return {source.name: source for source in list_clips(self.folder)[0]}

    def frames(self, prompt_id: str, attempt: int) -> Frames:
        """Return the frames (t, h, w, 3) of a take as they are measured.

        Raises:
            NotDeliveredError: there is no file, or it cannot be decoded.
            ProtocolError: it is too short, slow or small, or of another aspect ratio.
            InputError: the file is not the one that was planned.
        """
        from metrics.frames import DecodeError
        from poc.clip_work import resampled

        source = self._planned(prompt_id, attempt)
        found = survey(source)
        if found.problem:
            raise NotDeliveredError(f"'{source.name}' {found.problem}")
        try:
            clip = read_frames(source, size=found.size, png_fps=self.delivery.png_fps)
        except DecodeError as error:
            raise NotDeliveredError(f"'{source.name}' {reason_of(error, source)}") from error
        frames = resampled(clip, self.protocol).frames
        if frames.shape[1:3] != (self.shape.height, self.shape.width):
            raise ProtocolError(
                f"{frames.shape[2]}x{frames.shape[1]} pixels by the protocol, the clips made here "
                f"are {self.shape.width}x{self.shape.height}; nothing is cut off or squashed"
            )
        return frames

    def _planned(self, prompt_id: str, attempt: int) -> Source:
        take = next(
            one
            for one in self.delivery.takes
            if (one.prompt_id, one.attempt) == (prompt_id, attempt)
        )
        if not take.listed:
            raise NotDeliveredError("a take that the delivery does not list")
        if take.file is None:
            raise NotDeliveredError(NOT_DELIVERED)
        source = self._sources.get(take.file)
        there = None if source is None else survey(source).file_digest
        if there != take.file_digest:
            raise InputError(
                f"{self.folder / take.file}: expected the file of digest "
                f"{take.file_digest or 'none'} that was planned, found {there or 'none'}. Put it "
                "back, or begin anew with another --out."
            )
        if source is None:
            raise NotDeliveredError(f"'{take.file}' is not in the folder")
        return source

    def resolved(self, arm: Arm) -> ResolvedArm:
        """Return what the arm is: its files, and what turns them into frames."""
        decoders = sorted({decoder_id(source) for source in self._sources.values()})
        return ResolvedArm(
            arm_id=arm.id,
            component_digests={"delivery": arm.delivery_digest or ""},
            scheduler_class="",
            scheduler_config={},
            timesteps=(),
            pipeline_arguments={"protocol": self.protocol.text, "decoders": ", ".join(decoders)},
            device="elsewhere",
        )


def imported_clips(spec: SweepSpec, delivery: Delivery, beside: Path) -> ImportedClips:
    """Return the clips of an arm of a spec that lies at `beside`."""
    arm = next(one for one in spec.arms if one.name == delivery.arm)
    if spec.protocol is None:
        raise ValueError(f"spec {spec.name!r}: an imported arm and no protocol")
    return ImportedClips(
        folder=beside.parent / _said(arm).folder,
        delivery=delivery,
        protocol=protocol_of(spec.protocol),
        shape=measured_shape(spec),
    )
