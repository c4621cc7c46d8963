"""The video network that a spec names for FVD and KVD: what plans, features and numbers call it.

Nothing is loaded here; `poc.measure` does that.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from metrics.extractors.base import Preparation, video_id
from poc.models import ModelKind, ModelTable
from poc.records import SweepSpec, VideoJudge

TINY_VIDEO: Final = "tiny-video"
"""The network that comes along; it sees frames as they are."""
NETWORKS: Final = {"i3d": ("i3d-400", "logits"), "videomae": ("videomae", "mean")}
"""Network and head by family."""


def video_judge_of(spec: SweepSpec, models: ModelTable) -> VideoJudge | None:
    """Return the video judge that a spec names, with the digest of its files; None: it names none.

    Raises `InputError` for a judge that the table does not have.
    """
    if spec.judges is None or spec.judges.video is None:
        return None
    entry = models.resolve(spec.judges.video, ModelKind.VIDEO_FEATURES).entry
    network = TINY_VIDEO
    if entry.family in NETWORKS:
        preparation = Preparation(spec.judges.fvd or Preparation.CLEAN)
        network = video_id(*NETWORKS[entry.family], preparation)
    return VideoJudge(id=entry.id, digest=models.declared_digest(entry.id), network=network)


def preparation_of(judge: VideoJudge) -> Preparation:
    """Return how a judge that is not the tiny world's sees frames.

    >>> preparation_of(VideoJudge(id="i", digest="", network="i3d-400/logits/paper-1")).value
    'paper'
    """
    return Preparation(judge.network.rpartition("/")[2].rpartition("-")[0])


@dataclass(frozen=True, slots=True)
class NamedVideo:
    """A video judge that does not come along, and where it runs."""

    judge: VideoJudge
    device: str = "cpu"

    @property
    def extractor(self) -> str:
        """What its numbers carry: entry, network and, if it is not the CPU, the kind of device."""
        on = f" on {self._kind}" if self._kind != "cpu" else ""
        return f"{self.judge.id} {self.judge.network}{on}"

    @property
    def key(self) -> str:
        """Name its features by all that decides them, so that no two kinds are ever mixed.

        >>> judge = VideoJudge(id="mae", digest="0" * 64, network="videomae/mean/clean-1")
        >>> NamedVideo(judge, "cuda:1").key
        'video_mae_videomae-mean-clean-1_0000000000000000_cuda'
        """
        on = f"_{self._kind}" if self._kind != "cpu" else ""
        network = self.judge.network.replace("/", "-")
        return f"video_{self.judge.id}_{network}_{self.judge.digest[:16]}{on}"

    @property
    def _kind(self) -> str:
        return self.device.partition(":")[0]


def named_video(judge: VideoJudge | None, device: str) -> NamedVideo | None:
    """Return a plan's video judge on a device; None where it is the one that comes along."""
    if judge is None or judge.network == TINY_VIDEO:
        return None
    return NamedVideo(judge, device)


def as_recorded(named: NamedVideo, keys: Iterable[str]) -> NamedVideo:
    """Return a judge on the kind of device that made the features of these keys; else as it is.

    >>> judge = VideoJudge(id="mae", digest="0" * 64, network="videomae/mean/clean-1")
    >>> as_recorded(NamedVideo(judge), [NamedVideo(judge, "cuda:0").key]).device
    'cuda'
    """
    plain = replace(named, device="cpu").key
    found = sorted(key for key in keys if key == plain or key.startswith(f"{plain}_"))
    device = found[0].removeprefix(plain).removeprefix("_") if found else ""
    return replace(named, device=device or named.device)
