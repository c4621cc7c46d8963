"""The `poc` command: arguments in, exit code out. Heavy imports happen inside the commands.

Exit codes are an interface; the README has the table.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from poc.errors import InputError, plain

if TYPE_CHECKING:
    from poc.run import RunResult

COMPLETE, INCOMPLETE, ENVIRONMENT, INTERRUPTED, UNREAD = 0, 3, 2, 130, 141
DIFFERENT = 1
"""Of `verify`: something is not what the raw records say."""

_NETWORK_OFF = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DIFFUSERS_DISABLE_REMOTE_CODE": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "DIFFUSERS_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "false",
}
"""Set before any model library is imported: no command but `poc fetch` may use the network."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    arguments = _parser().parse_args(argv)
    os.environ.update(_NETWORK_OFF)
    command: Callable[[argparse.Namespace], int] = arguments.command
    try:
        return _flushed(command(arguments))
    except InputError as error:
        print(f"poc: error: {plain(str(error))}", file=sys.stderr)
        return ENVIRONMENT
    except KeyboardInterrupt:
        print("poc: interrupted; the same command goes on where it stopped", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read this closed the pipe, as `head` does; nothing may be written at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNREAD
    except Exception:  # noqa: BLE001  # a crash must never look like exit 1: NO_GO, REGRESSION
        traceback.print_exc()
        print("poc: error: this is a fault of the program; please report it", file=sys.stderr)
        return ENVIRONMENT


def _flushed(code: int) -> int:
    """Return the code once everything is written, while a closed pipe can still be noticed."""
    sys.stdout.flush()
    return code


# --- commands ------------------------------------------------------------------------------------


def _run(arguments: argparse.Namespace) -> int:
    from poc.progress import Progress
    from poc.run import run

    result = run(
        arguments.spec,
        arguments.out,
        workers=arguments.workers,
        device=arguments.device,
        until=arguments.until,
        progress=Progress(quiet=arguments.json),
    )
    places = {"run": result.path} if arguments.no_report else _report_places(result.path)
    _print_result(result, places, as_json=arguments.json)
    return COMPLETE if result.all_ok else INCOMPLETE


def _report_places(run: Path) -> dict[str, Path | str]:
    from reports.export.html import write_report

    return {
        "report": write_report(run, None, language="ja"),
        "clips": run / "clips",
        "dashboard": f"{_this_program()} dashboard {run.parent}",
    }


def _this_program() -> str:
    """Return how this command was called, to be typed again."""
    called = Path(sys.argv[0])
    return str(called) if called.name == "poc" else "poc"


def _plan(arguments: argparse.Namespace) -> int:
    from poc.plan import describe, summary
    from poc.run import read_plan

    plan, _ = read_plan(arguments.spec)
    if arguments.json:
        print(json.dumps(summary(plan).model_dump(mode="json"), ensure_ascii=False, indent=1))
    else:
        print(describe(plan))
    return COMPLETE


def _decide(arguments: argparse.Namespace) -> int:
    from poc.decide import exit_code
    from poc.run import RightsAt, decide_again

    if arguments.on is not None and arguments.rights is None:
        raise InputError("--on: expected --rights beside it, got none. Give the rights file.")
    on = arguments.on or _today()
    rights = None if arguments.rights is None else RightsAt(arguments.rights, on)
    result = decide_again(
        arguments.run, criteria=arguments.criteria, rights=rights, cost=arguments.cost
    )
    places: dict[str, Path | str] = {"run": result.path}
    basis = result.decision.rights_basis
    if basis is not None and not arguments.json:
        until = basis.valid_until or "-"
        places["rights"] = f"{result.decision.rights} on {basis.on}, valid until {until}"
    _print_result(result, places, as_json=arguments.json)
    return exit_code(result.decision.decision)


def _measure(arguments: argparse.Namespace) -> int:
    from poc.clip_folder import parse_protocol
    from poc.clip_table import table
    from poc.measure_folder import FolderJob, measure_folder
    from poc.progress import Progress

    job = FolderJob(
        folder=arguments.folder,
        reference=arguments.reference,
        prompts=arguments.prompts,
        protocol=None if arguments.protocol is None else parse_protocol(arguments.protocol),
        judges=arguments.judges,
        png_fps=arguments.png_fps,
        out=arguments.out,
    )
    result = measure_folder(job, progress=Progress(quiet=arguments.json))
    if arguments.json:
        print(json.dumps(result.as_json(), ensure_ascii=False, allow_nan=False))
    else:
        print(table(result.summary, result.clips))
        print(f"numbers taken: {result.taken}, reused from an earlier run: {result.reused}")
    return COMPLETE if result.all_ok else INCOMPLETE


def _cost(arguments: argparse.Namespace) -> int:
    from poc.cost import evaluate
    from poc.cost_file import read_cost
    from poc.cost_light import economic_light
    from poc.cost_run import seconds_of_run
    from poc.cost_table import cost_text

    if arguments.arm is not None and arguments.run is None:
        raise InputError("--arm: expected --run beside it, got none. Give the run of that arm.")
    inputs = read_cost(arguments.inputs)
    timed = None if arguments.run is None else seconds_of_run(arguments.run, arguments.arm)
    result = evaluate(inputs, seed=arguments.seed, timed=timed)
    light = economic_light(result)
    if arguments.json:
        found = {"cost": result.model_dump(mode="json"), "economic": light.model_dump(mode="json")}
        print(json.dumps(found, ensure_ascii=False, allow_nan=False))
    else:
        print(cost_text(result, light))
    return COMPLETE


def _rights(arguments: argparse.Namespace) -> int:
    from poc.decide import exit_code
    from poc.governance import only
    from poc.models import read_models
    from poc.rights import rights_of
    from poc.rights_table import rights_text
    from poc.run import read_plan
    from poc.store import RunStore

    on, subject, beside = arguments.on or _today(), arguments.subject, None
    if subject.is_dir():
        plan, models = RunStore.open_reader(subject).plan, read_models()
    else:
        (plan, models), beside = read_plan(subject), subject
    result = rights_of(plan, models, arguments.rights, on=on, beside=beside)
    result = result if arguments.arm is None else only(result, arguments.arm)
    if arguments.json:
        print(json.dumps(result.model_dump(mode="json"), ensure_ascii=False, allow_nan=False))
    else:
        print(rights_text(result))
    return exit_code(result.light)


def _today() -> date:
    return datetime.now().astimezone().date()


def _check(arguments: argparse.Namespace) -> int:
    from poc.check import check, worst
    from poc.gate_records import EXIT_CODES
    from poc.gate_report import table

    found = check(arguments.head, arguments.baseline, limits=arguments.limits, out=arguments.out)
    status = worst(found)
    if arguments.json:
        print(json.dumps({"gate": str(status), "baselines": [one.as_json() for one in found]}))
        return EXIT_CODES[status]
    for one in found:
        print("\n".join(f"{name + ':':<11}{path}" for name, path in one.files.items()))
        print(table(one.result))
    if len(found) > 1:
        print(f"\nthe worst of {len(found)} baselines\ngate: {status}")
    return EXIT_CODES[status]


def _accept(arguments: argparse.Namespace) -> int:
    from poc.baseline import BaselineKind, Said, entry
    from poc.check import accept_baseline

    found = accept_baseline(
        arguments.run,
        arguments.baseline,
        BaselineKind(arguments.kind),
        Said(arguments.by, arguments.reason),
        limits=arguments.limits,
    )
    if arguments.json:
        print(json.dumps(found.model_dump(mode="json"), ensure_ascii=False))
    else:
        print(entry(found, is_current=True))
    return COMPLETE


def _history(arguments: argparse.Namespace) -> int:
    from poc.baseline import history, read_ledger

    if arguments.json:
        ledger = [one.model_dump(mode="json") for one in read_ledger(arguments.baseline)]
        print(json.dumps(ledger, ensure_ascii=False))
    else:
        print(history(arguments.baseline))
    return COMPLETE


def _rate_pack(arguments: argparse.Namespace) -> int:
    from poc.rating_pack import PackJob, write_packs

    job = PackJob(
        run=arguments.run,
        raters=arguments.raters,
        candidates=tuple(arguments.candidate),
        per_rater=arguments.per_rater,
        seed=arguments.seed,
        out=arguments.out,
        language=arguments.lang,
    )
    packed = write_packs(job)
    if arguments.json:
        print(json.dumps(packed.as_json(), ensure_ascii=False))
        return COMPLETE
    for path in packed.files:
        print(f"pack: {path}")
    left_out = sum(one.pairs for one in packed.panel.left_out)
    planned = sum(one.of for one in packed.panel.left_out)
    print(f"left out: {left_out} of {planned} pairs, where a clip is not ok")
    print(f"key, never given to raters: {packed.key}")
    return COMPLETE


def _rate_import(arguments: argparse.Namespace) -> int:
    from poc.gate_report import shown
    from poc.rating_import import import_answers

    found = import_answers(arguments.run, arguments.answers)
    if arguments.json:
        stored = [
            {"path": str(one.path), "rater": one.rater, "answered": one.answered, "of": one.trials}
            for one in found
        ]
        print(json.dumps({"imported": stored}, ensure_ascii=False))
        return COMPLETE
    for one in found:
        print(f"{shown(one.rater)}: {one.answered} of {one.trials} trials answered, {one.path}")
    return COMPLETE


def _rate_show(arguments: argparse.Namespace) -> int:
    from poc.rating_import import read_votes
    from poc.votes_table import votes_json, votes_text

    votes = read_votes(arguments.run)
    if arguments.json:
        print(json.dumps(votes_json(votes), ensure_ascii=False, allow_nan=False))
    else:
        print(votes_text(votes))
    return COMPLETE


def _verify(arguments: argparse.Namespace) -> int:
    from poc.gate_report import shown
    from poc.run import verify

    amiss = verify(
        arguments.run, criteria=arguments.criteria, rights=arguments.rights, cost=arguments.cost
    )
    if arguments.json:
        print(json.dumps({"verified": not amiss, "amiss": list(amiss)}, ensure_ascii=False))
    else:
        print("\n".join([*map(shown, amiss), f"verified: {'no' if amiss else 'yes'}"]))
    return DIFFERENT if amiss else COMPLETE


def _close(arguments: argparse.Namespace) -> int:
    from poc.run import close

    result = close(arguments.run, arguments.reason)
    _print_result(result, {"run": result.path}, as_json=arguments.json)
    return COMPLETE if result.all_ok else INCOMPLETE


def _report(arguments: argparse.Namespace) -> int:
    path = _written_report(arguments)
    print(json.dumps({"report": str(path)}) if arguments.json else f"report: {path}")
    return COMPLETE


def _written_report(arguments: argparse.Namespace) -> Path:
    if arguments.format == "summary":
        from reports.export.summary import write_summary

        return write_summary(arguments.run, arguments.out or arguments.run / "summary")
    from reports.export.html import write_report

    return write_report(arguments.run, arguments.out, language=arguments.lang)


def _dashboard(arguments: argparse.Namespace) -> int:
    from reports.dashboard import command

    argv = command(arguments.runs_dir, arguments.streamlit)
    if not arguments.json:
        os.execv(argv[0], argv)  # noqa: S606  # our own argument list; Streamlit takes over
    print(json.dumps({"command": argv}))
    return COMPLETE


def _train(arguments: argparse.Namespace) -> int:
    from poc.tiny.recipe import train_tiny

    train_tiny(arguments.out, arguments.work, quick=arguments.quick, log=_log(arguments.json))
    if arguments.json:
        print(json.dumps({"weights": str(arguments.out)}))
    return COMPLETE


def _log(quiet: bool) -> Callable[[str], None]:
    return (
        (lambda _line: None) if quiet else (lambda line: print(line, file=sys.stderr, flush=True))
    )


def _print_result(result: RunResult, places: Mapping[str, Path | str], *, as_json: bool) -> None:
    from poc.claims_table import claims_text

    if as_json:
        found = {name: str(place) for name, place in places.items()}
        print(json.dumps(result.as_json() | found, ensure_ascii=False))
        return
    print(result.table)
    print(f"\n{claims_text(result.claims)}\n")
    for name, place in places.items():
        print(f"{name + ':':<11}{place}")
    print(f"decision: {result.decision.decision}")


# --- arguments -----------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="poc",
        description="Is few-step styled video generation good enough to buy? "
        "Sweep, measure, estimate, decide.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_run(commands)
    _add_plan(commands)
    _add_measure(commands)
    _add_decide(commands)
    _add_cost(commands)
    _add_rights(commands)
    _add_check(commands)
    _add_baseline(commands)
    _add_rate(commands)
    _add_verify(commands)
    _add_close(commands)
    _add_report(commands)
    _add_dashboard(commands)
    _add_train(commands)
    return parser


_Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001  # argparse has no public name for it


def _command(
    commands: _Commands, name: str, function: Callable[[argparse.Namespace], int], text: str
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=text)
    parser.set_defaults(command=function)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    return parser


def _add_run(commands: _Commands) -> None:
    text = "generate, measure, estimate, decide; the same command goes on after any stop"
    parser = _command(commands, "run", _run, text)
    _spec_argument(parser)
    parser.add_argument("--out", type=Path, help="run folder (default: runs/SPEC-NAME)")
    parser.add_argument(
        "--workers", type=_positive, help="processes (default: one per core, at most 8)"
    )
    parser.add_argument("--device", default="cpu", help="cpu or cuda:N (default: cpu)")
    parser.add_argument(
        "--until", type=_clock, metavar="HH:MM", help="begin no new block after this local time"
    )
    parser.add_argument("--no-report", action="store_true", help="write no HTML report")


def _add_plan(commands: _Commands) -> None:
    text = "show arms, clips, network evaluations, time and disk; loads no model"
    _spec_argument(_command(commands, "plan", _plan, text))


def _add_measure(commands: _Commands) -> None:
    text = (
        "measure any folder of clips (mp4, webm, gif, folders of png frames); exits 0 when all "
        "were measured, 3 when a clip failed or is invalid"
    )
    parser = _command(commands, "measure", _measure, text)
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
        "--png-fps", type=_rate, metavar="N", help="frame rate of folders of png frames"
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder to write; a second run reuses what it has"
    )


def _add_decide(commands: _Commands) -> None:
    text = (
        "decide again from the raw records; exits 0 GO, 1 NO_GO, 3 INSUFFICIENT_EVIDENCE, "
        "4 CONDITIONAL"
    )
    parser = _command(commands, "decide", _decide, text)
    parser.add_argument("run", type=Path, help="run folder")
    parser.add_argument("--criteria", type=Path, help="another criteria file (marked as edited)")
    parser.add_argument("--rights", type=Path, metavar="FILE", help="rights file, for its light")
    parser.add_argument("--on", type=_day, metavar="DATE", help="day for --rights (default: today)")
    parser.add_argument(
        "--cost", type=Path, metavar="FILE", help="inputs of `poc cost`, for the economic light"
    )


def _add_cost(commands: _Commands) -> None:
    text = (
        "what a finished deliverable costs, beside the alternatives, with payback and how sure it "
        "is; `poc/specs/cost/example.yaml` shows the inputs"
    )
    parser = _command(commands, "cost", _cost, text)
    parser.add_argument("--inputs", type=Path, required=True, metavar="FILE", help="inputs file")
    parser.add_argument(
        "--run", type=Path, metavar="RUN", help="take seconds per clip from this run's latency pass"
    )
    parser.add_argument("--arm", metavar="NAME", help="arm of RUN (default: the recommended one)")
    parser.add_argument(
        "--seed", type=_whole, default=0, help="seed of the simulation (default: 0)"
    )


def _add_rights(commands: _Commands) -> None:
    text = (
        "may we use it? licences, consents, checklist and approvals for a stated use; exits 0 GO, "
        "1 NO_GO, 3 INSUFFICIENT_EVIDENCE, 4 CONDITIONAL; no legal advice"
    )
    parser = _command(commands, "rights", _rights, text)
    parser.add_argument("subject", type=Path, metavar="SPEC_OR_RUN", help="spec file or run folder")
    parser.add_argument(
        "--rights",
        type=Path,
        required=True,
        metavar="FILE",
        help="rights file; `poc/specs/rights/example.yaml` shows one",
    )
    parser.add_argument("--on", type=_day, metavar="DATE", help="day to judge (default: today)")
    parser.add_argument("--arm", metavar="NAME", help="one arm (default: all, the worst counts)")


def _add_check(commands: _Commands) -> None:
    text = (
        "compare a run with its baseline; exits 0 PASS, 1 REGRESSION, 3 INCONCLUSIVE, "
        "NOT_COMPARABLE or CALIBRATION_NEEDED"
    )
    parser = _command(commands, "check", _check, text)
    parser.add_argument("head", type=Path, metavar="HEAD", help="run folder to be judged")
    parser.add_argument(
        "--baseline",
        type=Path,
        required=True,
        metavar="BASE",
        help="run folder, or folder of accepted baselines, to compare with",
    )
    parser.add_argument("--limits", type=Path, help="limits file (default: the one that ships)")
    parser.add_argument("--out", type=Path, help="folder to write (default: HEAD/gate)")


def _add_baseline(commands: _Commands) -> None:
    text = "baselines of the regression gate: small files to commit"
    actions = commands.add_parser("baseline", help=text, description=text).add_subparsers(
        required=True, metavar="ACTION"
    )
    text = "make a complete run the baseline; says what the gate finds against the one before"
    parser = _command(actions, "accept", _accept, text)
    parser.add_argument("run", type=Path, metavar="RUN", help="run folder")
    parser.add_argument(
        "--baseline", type=Path, required=True, metavar="DIR", help="folder of baselines"
    )
    parser.add_argument(
        "--kind",
        choices=["rolling", "release"],
        default="rolling",
        help="release: stays as it is, so that many small losses add up (default: rolling)",
    )
    parser.add_argument("--by", required=True, metavar="WHO", help="who accepts it")
    parser.add_argument("--reason", required=True, metavar="WHY", help="why it is accepted")
    parser.add_argument("--limits", type=Path, help="limits file (default: the one that ships)")
    text = "show who accepted what, when and why"
    parser = _command(actions, "history", _history, text)
    parser.add_argument("baseline", type=Path, metavar="DIR", help="folder of baselines")


def _add_rate(commands: _Commands) -> None:
    text = "blind rating of clips by people: offline pages out, answers in"
    actions = commands.add_parser("rate", help=text, description=text).add_subparsers(
        required=True, metavar="ACTION"
    )
    text = "write one offline page per rater, and the key, which raters must not get"
    parser = _command(actions, "pack", _rate_pack, text)
    parser.add_argument("run", type=Path, metavar="RUN", help="run folder")
    parser.add_argument("--raters", type=_raters, required=True, metavar="N", help="pages to write")
    parser.add_argument(
        "--candidate",
        action="append",
        default=[],
        metavar="ARM",
        help="arm to compare with the baseline; may be given again (default: the recommended one)",
    )
    parser.add_argument(
        "--per-rater",
        type=_comparisons,
        metavar="K",
        help="comparisons per rater, beside repeats and catch pairs (default: 30, or one a prompt)",
    )
    parser.add_argument("--seed", type=_whole, default=0, help="seed of the design (default: 0)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for the pages")
    parser.add_argument("--lang", choices=["ja", "en"], default="ja", help="language shown first")
    text = "take in what raters sent back; all files are checked before any is stored"
    parser = _command(actions, "import", _rate_import, text)
    parser.add_argument("run", type=Path, metavar="RUN", help="run folder")
    parser.add_argument(
        "answers", type=Path, nargs="+", metavar="ANSWERS.json", help="files that pages saved"
    )
    text = "say what the votes say, with intervals, agreement and excluded raters"
    parser = _command(actions, "show", _rate_show, text)
    parser.add_argument("run", type=Path, metavar="RUN", help="run folder")


def _add_verify(commands: _Commands) -> None:
    text = (
        "derive estimates and decision again and compare them and every clip with the records; "
        "exits 0 when all agrees, 1 when not"
    )
    parser = _command(commands, "verify", _verify, text)
    parser.add_argument("run", type=Path, help="run folder")
    parser.add_argument("--criteria", type=Path, help="criteria that the decision was made with")
    parser.add_argument("--rights", type=Path, help="rights file that the decision was made with")
    parser.add_argument("--cost", type=Path, help="cost inputs that the decision was made with")


def _add_close(commands: _Commands) -> None:
    text = "end a run at its last complete block; every page says so and why"
    parser = _command(commands, "close", _close, text)
    parser.add_argument("run", type=Path, help="run folder")
    parser.add_argument("--reason", required=True, help="why the run ends here")


def _add_report(commands: _Commands) -> None:
    text = "write the report as one HTML file, or a summary folder: numbers, table, two pictures"
    parser = _command(commands, "report", _report, text)
    parser.add_argument("run", type=Path, help="run folder")
    parser.add_argument("--format", choices=["html", "summary"], default="html")
    parser.add_argument("--lang", choices=["ja", "en"], default="ja", help="language shown first")
    parser.add_argument("--out", type=Path, help="file or folder to write (default: in RUN)")


def _add_dashboard(commands: _Commands) -> None:
    text = "open the dashboard over a folder of runs; options after -- go to Streamlit"
    parser = _command(commands, "dashboard", _dashboard, text)
    parser.add_argument("runs_dir", type=Path, nargs="?", default=Path("runs"))
    parser.add_argument("streamlit", nargs="*", help="Streamlit's own options, after --")


def _add_train(commands: _Commands) -> None:
    text = "train models; `poc train tiny` makes weights such as the embedded ones from nothing"
    parser = _command(commands, "train", _train, text)
    parser.add_argument("what", choices=["tiny"])
    parser.add_argument("--out", type=Path, default=Path("runs/train-tiny/weights"))
    parser.add_argument("--work", type=Path, default=Path("runs/train-tiny/work"))
    parser.add_argument("--quick", action="store_true", help="a handful of steps: a smoke test")


def _spec_argument(parser: argparse.ArgumentParser) -> None:
    default = Path(__file__).parent / "specs" / "tiny.yaml"
    parser.add_argument(
        "spec", type=Path, nargs="?", default=default, help="spec file (default: the tiny world)"
    )


def _positive(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1024:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 to 1024, got {text!r}")
    return int(text)


def _raters(text: str) -> int:
    return _at_most(text, 200)


def _comparisons(text: str) -> int:
    return _at_most(text, 500)


def _at_most(text: str, most: int) -> int:
    if not (text.isdecimal() and text.isascii() and len(text) <= 6 and 1 <= int(text) <= most):
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 to {most}, got {text!r}")
    return int(text)


def _whole(text: str) -> int:
    if not (text.isdecimal() and text.isascii() and len(text) <= 18):
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 0, got {text!r}")
    return int(text)


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0.0 < rate <= 1000.0:
        raise argparse.ArgumentTypeError(f"expected frames per second up to 1000, got {text!r}")
    return rate


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a day as 2026-04-01, got {text!r}") from None


def _clock(text: str) -> tuple[int, int]:
    hour, _, minute = text.partition(":")
    if not (hour.isdecimal() and minute.isdecimal() and int(hour) < 24 and int(minute) < 60):
        raise argparse.ArgumentTypeError(f"expected a local time as HH:MM, got {text!r}")
    return int(hour), int(minute)
