"""`poc rate pack`: one offline page per rater, and the key that says what each trial showed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from poc import disk
from poc.chosen_arm import arm_named, recommended_arm
from poc.errors import InputError
from poc.imported import as_measured
from poc.panel import Form, Pack, Panel, PanelRequest, ShownClip, design_panel
from poc.rating_folder import PACKS, owned, panel_folder, read_panels, votes_path, write_key
from poc.rating_page import render
from poc.rating_votes import sum_up, write_votes
from poc.records import ClipStatus, digest
from poc.store import RunStore

VIEW_CRF = 10
"""VP9 quality of rated clips, below 24 of viewing copies: raters shall see the arm, not the codec.
"""

BLOCKS = 6
"""Squares along the shorter side of a damaged copy: nobody takes that for a picture."""


@dataclass(frozen=True, slots=True)
class Packed:
    """What was written."""

    panel: Panel
    key: Path
    files: tuple[Path, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the machine-readable form; it tells nothing that raters may not know."""
        return {
            "panel": self.panel.panel_id,
            "packs": [str(path) for path in self.files],
            "key": str(self.key),
            "form": self.panel.request.form,
            "trials": [len(pack.tasks) for pack in self.panel.packs],
            "left_out": [one.model_dump(mode="json") for one in self.panel.left_out],
        }


@dataclass(frozen=True, slots=True)
class PackJob:
    """What is asked for; `candidates` are names, none: the arm that the decision recommends."""

    run: Path
    raters: int
    candidates: tuple[str, ...] = ()
    per_rater: int | None = None
    seed: int = 0
    out: Path | None = None
    language: str = "ja"
    form: Form = Form.PAIRS


def write_packs(job: PackJob) -> Packed:
    """Write a new panel: its key into the run, a page per rater into `out`.

    The pages come first: a key is there only when all of its pages are.

    Raises:
        InputError: no run, no such arm, the baseline compared with itself, too few ok clips,
            frames that are missing or damaged, or a disk that refuses.
    """
    with RunStore.open_reader(job.run) as store, owned(job.run):
        panel = design_panel(store.plan, _status(store), _request(store, job))
        folder = job.out or panel_folder(job.run, panel) / PACKS
        _refuse_strangers(folder, panel)
        disk.make_folder(folder)
        pages = PanelPages(store, panel, job.language)
        files = tuple(_written(pages, pack, folder) for pack in panel.packs)
        disk.sync_folder(folder)
        key = write_key(job.run, panel)
        if votes_path(job.run).exists():
            write_votes(job.run, sum_up(job.run, store.plan))
        return Packed(panel, key, files)


def _status(store: RunStore) -> dict[str, ClipStatus]:
    return {clip_id: result.status for clip_id, result in store.results().items()}


def _request(store: RunStore, job: PackJob) -> PanelRequest:
    option = "--candidate"
    arms = [arm_named(store, name, option) for name in job.candidates]
    arms = arms or [recommended_arm(store, option)]
    candidate_ids = tuple(dict.fromkeys(arm.id for arm in arms))
    baseline_id = store.plan.baseline_id
    if job.form is Form.PAIRS and baseline_id in candidate_ids:
        raise InputError(
            f"{store.path}: --candidate: expected an arm to compare with the baseline, got the "
            "baseline itself. Name another arm."
        )
    return PanelRequest(
        baseline_id=baseline_id,
        candidate_ids=candidate_ids,
        raters=job.raters,
        per_rater=job.per_rater,
        seed=job.seed,
        number=len(read_panels(job.run, store.plan.content_digest())),
        form=job.form,
        run=_identity(store),
    )


def _identity(store: RunStore) -> str:
    """Return what tells a run from another one of the same plan: its manifest and its clips.

    A copy of the folder is the same run: it shows the same clips.
    """
    clips = [(clip_id, one.frames_digest) for clip_id, one in sorted(store.results().items())]
    return digest([store.manifest.content_digest(), clips])


def _refuse_strangers(folder: Path, panel: Panel) -> None:
    """Raise InputError where a page would replace another file."""
    for pack in panel.packs:
        path = folder / _file_name(pack)
        if path.is_symlink() or (path.exists() and panel.panel_id not in folder.parts):
            raise InputError(f"{path}: is there already. Choose another --out.")


def _file_name(pack: Pack) -> str:
    return f"rating-{pack.pseudonym}.html"


def _written(pages: PanelPages, pack: Pack, folder: Path) -> Path:
    path = folder / _file_name(pack)
    disk.publish(path, pages.page(pack).encode())
    return path


class PanelPages:
    """Makes the pages of one panel; a clip is encoded once."""

    def __init__(self, store: RunStore, panel: Panel, language: str) -> None:
        self._store, self._panel, self._language = store, panel, language
        self._arms = {arm.id: arm for arm in store.plan.arms}
        self._prompts = {prompt.id: prompt for prompt in store.plan.prompts}
        self._encoded: dict[ShownClip, bytes] = {}

    def page(
        self, pack: Pack, served: Mapping[str, Any] | None = None, language: str | None = None
    ) -> str:
        """Return the page of one pack, `served` as in `poc.rating_page.render`."""
        shown = [side for task in pack.tasks for side in task.sides.values()]
        return render(
            pack,
            {side: self._media(side) for side in shown},
            self._prompts,
            panel_id=self._panel.panel_id,
            language=language or self._language,
            clip_s=self._longest_s(shown),
            demonstration=self._store.plan.spec.kind == "demonstration",
            served=served,
        )

    def _longest_s(self, shown: Sequence[ShownClip]) -> float:
        shapes = [self._arms[side.arm_id].shape for side in shown]
        return max(shape.num_frames / shape.fps for shape in shapes)

    def _media(self, side: ShownClip) -> bytes:
        if side not in self._encoded:
            arm, asked = self._arms[side.arm_id], self._store.plan.spec.protocol
            frames = as_measured(self._store.read_clip(side.clip_id), arm, asked)
            fps = arm.shape.fps if asked is None else asked.fps
            self._encoded[side] = _encoded(damaged(frames) if side.damaged else frames, fps)
        return self._encoded[side]


def _encoded(frames: npt.NDArray[np.uint8], fps: int) -> bytes:
    """Return frames as WebM without names, dates or random ids; odd sizes get one more line.

    Encoded anew from the lossless frames for every arm alike, so that neither the encoder nor the
    container tells arms apart.
    """
    from poc.video import encode_webm

    edges = ((0, 0), (0, frames.shape[1] % 2), (0, frames.shape[2] % 2), (0, 0))
    return encode_webm(np.pad(frames, edges, mode="edge"), fps, crf=VIEW_CRF)


def damaged(frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return the copy for a catch pair: the first frame for the whole time, in coarse squares.

    Frames are (t, h, w, 3). Each square has its mean colour; along the shorter side there are
    about `BLOCKS` of them. The clip neither moves nor shows a shape, so who prefers it, or calls
    it the same, did not look.
    """
    first = frames[0].astype(np.float64)
    height, width, _ = first.shape
    size = max(2, min(height, width) // BLOCKS)
    rows, columns = np.arange(height) // size, np.arange(width) // size
    cells = rows[:, None] * (columns[-1] + 1) + columns[None, :]
    counts = np.bincount(cells.ravel())
    means = np.stack(
        [np.bincount(cells.ravel(), first[..., c].ravel()) / counts for c in range(3)], axis=-1
    )
    still = np.rint(means[cells]).astype(np.uint8)
    return np.repeat(still[None], len(frames), axis=0)
