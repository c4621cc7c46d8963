"""`poc measure`: any folder of clips, without a run."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from poc.commands.argument_types import frame_rate
from poc.commands.exit_codes import COMPLETE, INCOMPLETE
from poc.commands.parsers import Commands, add_command

if TYPE_CHECKING:
    from poc.clip_video import GivenVideo


def add_measure(commands: Commands) -> None:
    """Add `poc measure`."""
    text = (
        "measure any folder of clips (mp4, webm, gif, folders of png frames); exits 0 when all "
        "were measured, 3 when a clip failed or is invalid"
    )
    parser = add_command(commands, "measure", _measure, text)
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder of clips")
    parser.add_argument(
        "--reference", type=Path, metavar="DIR", help="clips that FVD and KVD compare with"
    )
    parser.add_argument(
        "--prompts", metavar="CSV", help="columns file,prompt; or 'names': a_red_circle.mp4"
    )
    parser.add_argument(
        "--protocol",
        metavar="PARTS",
        help="bring all clips to one form: seconds:2,fps:8,short_side:64 (default: as decoded)",
    )
    parser.add_argument(
        "--judges",
        choices=["tiny"],
        help="networks for CLIP score, FVD and KVD; those that ship know the tiny world only",
    )
    parser.add_argument(
        "--video-network",
        type=Path,
        metavar="WEIGHTS",
        help="folder of I3D or VideoMAE for FVD and KVD of any clips; I3D's is made by `python -m "
        "metrics.extractors.i3d FILE WEIGHTS`",
    )
    parser.add_argument(
        "--fvd",
        choices=["paper", "clean"],
        default="clean",
        help="how that network sees frames: squashed and not antialiased as AnimateLCM's paper, "
        "or the centred square, antialiased (default: clean); the two never compare",
    )
    parser.add_argument(
        "--weights-lock",
        type=Path,
        metavar="FILE",
        help="digests of the network's files, pinned at first use, to be committed (default: "
        "extractors.lock.json beside the folder WEIGHTS)",
    )
    parser.add_argument(
        "--png-fps", type=frame_rate, metavar="N", help="frame rate of folders of png frames"
    )
    _add_given(parser)
    group = parser.add_argument_group(
        "clips made elsewhere", "compared with another arm by prompt, under one --protocol"
    )
    group.add_argument(
        "--delivery",
        type=Path,
        metavar="CSV",
        help="every take: file,prompt,attempt,price,currency,requested,received,picked; a take "
        "without a clip counts as failed",
    )
    group.add_argument("--beside", type=Path, metavar="DIR", help="the other arm's clips")
    group.add_argument(
        "--beside-prompts",
        metavar="CSV",
        default="names",
        help="their prompts, as --prompts (default: names)",
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder to write; a second run reuses what it has"
    )


def _add_given(parser: argparse.ArgumentParser) -> None:
    """Add what metrics take besides the clips; what is not given is shown as not measured."""
    group = parser.add_argument_group("given besides", "read from disk; nothing is downloaded")
    for name, metavar, text in (
        ("clip", "DIR", "open_clip folder for CLIP score, consistency, style and subject"),
        ("style", "DIR", "held-out stills of the style"),
        ("training", "DIR", "stills that the style was trained on: are clips copies of them?"),
        ("subject", "DIR", "stills of a subject that clips should show"),
        ("baseline", "DIR", "clips of the same names, prompts and seeds by the baseline"),
        ("lpips", "FILE", "AlexNet's weights, for the distance to --baseline"),
        ("csd", "FILE", "weights of CSD: style apart from content, against --style"),
        ("raft", "FILE", "weights of RAFT, for motion beside OpenCV's flow; slow without a GPU"),
        ("safety", "DIR", "a safety checker in diffusers' layout"),
    ):
        group.add_argument(f"--{name}", type=Path, metavar=metavar, help=text)
    group.add_argument(
        "--device",
        default="cpu",
        metavar="NAME",
        help="where these networks run: cpu or cuda, which numbers name (default: cpu)",
    )


def _measure(arguments: argparse.Namespace) -> int:
    from poc.clip_folder import parse_protocol
    from poc.clip_given import Given
    from poc.clip_table import table
    from poc.measure_folder import FolderJob, measure_folder
    from poc.progress import Progress

    job = FolderJob(
        folder=arguments.folder,
        reference=arguments.reference,
        prompts=arguments.prompts,
        protocol=None if arguments.protocol is None else parse_protocol(arguments.protocol),
        judges=arguments.judges,
        video=_video_network(arguments),
        png_fps=arguments.png_fps,
        delivery=arguments.delivery,
        beside=arguments.beside,
        beside_prompts=arguments.beside_prompts,
        given=Given(**{one.name: getattr(arguments, one.name) for one in fields(Given)}),
        out=arguments.out,
    )
    result = measure_folder(job, progress=Progress(quiet=arguments.json))
    if arguments.json:
        print(json.dumps(result.as_json(), ensure_ascii=False, allow_nan=False))
    else:
        print(table(result.summary, result.clips))
        print(f"numbers taken: {result.taken}, reused from an earlier run: {result.reused}")
    return COMPLETE if result.all_ok else INCOMPLETE


def _video_network(arguments: argparse.Namespace) -> GivenVideo | None:
    from poc.clip_video import GivenVideo
    from poc.errors import InputError

    if arguments.video_network is None:
        return None
    if arguments.reference is None:
        raise InputError("--video-network: FVD and KVD need --reference; give one.")
    lock = arguments.weights_lock or _lock_beside(arguments.video_network)
    video = GivenVideo.read(arguments.video_network, arguments.fvd, lock)
    if video.newly_pinned:
        print(f"{arguments.video_network}: pinned at first use in {lock}", file=sys.stderr)
    return video


def _lock_beside(network: Path) -> Path:
    """Return the lock beside a network's folder: whoever uses those weights stands on one pin.

    It used to lie in the working directory; one that is there is used until it is moved.
    """
    from poc.clip_video import LOCK

    lock, former = network.resolve().parent / LOCK, Path(LOCK)
    if lock.exists() or not former.exists():
        return lock
    print(f"{former}: taken from the working directory. Move it to {lock}.", file=sys.stderr)
    return former
