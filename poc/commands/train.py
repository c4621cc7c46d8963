"""`poc train`: models from nothing, and a style of one's own from stills."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from poc.commands.argument_types import positive_number, up_to, whole
from poc.commands.exit_codes import COMPLETE
from poc.commands.parsers import Commands, add_actions, add_command
from poc.commands.rights import today
from poc.errors import InputError, plain

if TYPE_CHECKING:
    from poc.own_style import StyleRequest, StyleTask

EMBEDDED = Path(__file__).parent.parent / "tiny" / "weights"


def add_train(commands: Commands) -> None:
    """Add `poc train` with its actions."""
    text = "train models: the tiny world's, variants of them, or an own style"
    actions = add_actions(commands, "train", text)
    _add_tiny(actions)
    _add_ablations(actions)
    _add_style(actions)


def _add_tiny(actions: Commands) -> None:
    text = "make weights such as the embedded ones from nothing: hours on two cores"
    parser = add_command(actions, "tiny", _train_tiny, text)
    parser.add_argument("--out", type=Path, default=Path("runs/train-tiny/weights"))
    parser.add_argument("--work", type=Path, default=Path("runs/train-tiny/work"))
    parser.add_argument("--quick", action="store_true", help="a handful of steps: a smoke test")
    parser.add_argument(
        "--styles-of",
        type=Path,
        metavar="WEIGHTS",
        help="train the style LoRAs alone, on these finished weights",
    )
    parser.add_argument(
        "--style",
        action="append",
        default=[],
        metavar="STYLE",
        help="with --styles-of: train this style alone, pastel or neon; WEIGHTS has the other",
    )


def _train_tiny(arguments: argparse.Namespace) -> int:
    from poc.tiny.adopted import train_styles
    from poc.tiny.recipe import train_tiny
    from poc.tiny.world import Style

    out, work, weights = arguments.out, arguments.work, arguments.styles_of
    log, quick = _log(arguments.json), arguments.quick
    if arguments.style and not weights:
        raise InputError("--style: expected --styles-of WEIGHTS beside it, with the other stages")
    if weights:
        styles = tuple(Style)
        if unknown := sorted(set(arguments.style) - set(styles)):
            raise InputError(f"--style: expected {' or '.join(styles)}; got {', '.join(unknown)}")
        styles = tuple(Style(name) for name in arguments.style) or styles
        train_styles(out, work, weights, styles=styles, quick=quick, log=log)
    else:
        train_tiny(out, work, quick=quick, log=log)
    return _done(arguments)


def _add_ablations(actions: Commands) -> None:
    text = "make variants of the embedded weights that leave one part of the method out"
    parser = add_command(actions, "ablations", _train_ablations, text)
    parser.add_argument("--out", type=Path, help="default: where specs/ablations looks for them")
    parser.add_argument("--work", type=Path, help="default: runs/train-ablations/work")
    parser.add_argument("--quick", action="store_true", help="a handful of steps: a smoke test")
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="VARIANT",
        help="train this variant alone; may be repeated",
    )


def _train_ablations(arguments: argparse.Namespace) -> int:
    from poc.models import own_folder
    from poc.tiny.ablations import train_ablations

    # What a smoke test leaves must never be taken for trained variants.
    runs = Path("runs") / ("quick-ablations" if arguments.quick else "train-ablations")
    home = runs / "weights" if arguments.quick else own_folder() / "tiny-ablations"
    arguments.out, arguments.work = arguments.out or home, arguments.work or runs / "work"
    train_ablations(
        arguments.out,
        arguments.work,
        EMBEDDED,
        only=tuple(arguments.only),
        quick=arguments.quick,
        log=_log(arguments.json),
    )
    return _done(arguments)


def _done(arguments: argparse.Namespace) -> int:
    if arguments.json:
        print(json.dumps({"weights": str(arguments.out)}))
    return COMPLETE


def _add_style(actions: Commands) -> None:
    text = (
        "learn a style from own stills as a LoRA on a base; a fifth of them is held out; says "
        "memory and hours first; the same command goes on after any stop"
    )
    parser = add_command(actions, "style", _train_style, text)
    parser.add_argument("stills", type=Path, metavar="STILLS", help="folder of PNG and JPEG files")
    parser.add_argument("--base", required=True, metavar="ID", help="base model of models.yaml")
    parser.add_argument(
        "--rights", type=Path, required=True, metavar="FILE", help="rights file with the consents"
    )
    parser.add_argument("--name", metavar="NAME", help="of the style (default: that of STILLS)")
    said = parser.add_mutually_exclusive_group()
    said.add_argument(
        "--captions",
        type=Path,
        metavar="CSV",
        help="columns file,caption (default: captions.csv in STILLS)",
    )
    said.add_argument("--trigger", metavar="WORD", help="one caption for all stills, without a CSV")
    _add_training(parser)
    parser.add_argument("--device", default="cpu", help="cpu or cuda:N (default: cpu)")
    parser.add_argument(
        "--hours", type=positive_number, metavar="H", help="refuse what is estimated to take longer"
    )
    parser.add_argument("--estimate", action="store_true", help="stop after the estimate")


def _add_training(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--steps", type=up_to(1_000_000), default=1500, help="default: 1500")
    parser.add_argument("--batch", type=up_to(1024), default=4, help="stills a step (default: 4)")
    parser.add_argument(
        "--learning-rate", type=positive_number, default=1e-4, metavar="RATE", help="default: 1e-4"
    )
    parser.add_argument("--rank", type=up_to(1024), default=16, help="of the LoRA (default: 16)")
    parser.add_argument("--seed", type=whole, default=0, help="default: 0")


def _train_style(arguments: argparse.Namespace) -> int:
    from poc.models import read_models
    from poc.own_style import check_style

    log = _log(arguments.json)
    task = check_style(_request(arguments), read_models(), on=today())
    log(
        f"{len(task.training_stills)} stills to learn from, {len(task.heldout)} held out, "
        f"{task.size} px"
    )
    for warning in task.warnings:
        log(f"warning: {warning}")
    return _trained(task, arguments, log)


def _request(arguments: argparse.Namespace) -> StyleRequest:
    from poc.own_style import StyleRequest, StyleTraining, style_name

    return StyleRequest(
        stills=arguments.stills,
        base=arguments.base,
        rights=arguments.rights,
        name=arguments.name or style_name(arguments.stills),
        training=StyleTraining(
            steps=arguments.steps,
            batch=arguments.batch,
            learning_rate=arguments.learning_rate,
            rank=arguments.rank,
            seed=arguments.seed,
        ),
        device=arguments.device,
        captions=arguments.captions,
        trigger=arguments.trigger,
    )


def _trained(task: StyleTask, arguments: argparse.Namespace, log: Callable[[str], None]) -> int:
    from poc.training.own_style import train_own_style

    estimate, folder = train_own_style(
        task, hours=arguments.hours, estimate_only=arguments.estimate, log=log
    )
    if arguments.json:
        shown = {
            "style": task.request.name,
            "estimate": asdict(estimate) if estimate else None,
            "folder": str(folder) if folder else None,
        }
        print(json.dumps(shown))
    elif folder is not None:
        name = task.request.name
        print(f"style:    {folder}")
        print(f"previews: {folder / 'previews'}")
        print(f"in a spec: loras: [{{model: {name}, scale: 1.0}}], style: {name}")
    return COMPLETE


def _log(quiet: bool) -> Callable[[str], None]:
    return (
        (lambda _line: None)
        if quiet
        else (lambda line: print(plain(line), file=sys.stderr, flush=True))
    )
