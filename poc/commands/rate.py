"""`poc rate`: blind rating of clips by people."""

from __future__ import annotations

import argparse
import json
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING

from poc.commands.argument_types import comparisons, raters, whole
from poc.commands.exit_codes import COMPLETE
from poc.commands.parsers import Commands, add_actions, add_command
from poc.errors import InputError, plain

if TYPE_CHECKING:
    from poc.rating_import import Imported

_EVERYWHERE = str(IPv4Address(0))


def add_rate(commands: Commands) -> None:
    """Add `poc rate pack`, `serve`, `collect`, `import` and `show`."""
    text = "blind rating of clips by people: pages out, answers in"
    actions = add_actions(commands, "rate", text)
    _add_pack(actions)
    _add_serve(actions)
    text = "take in what raters told the server; packs that are not finished are closed as they are"
    parser = add_command(actions, "collect", _collect, text)
    parser.add_argument("run", type=Path, metavar="RUN", help="run folder")
    _add_votes(parser)
    text = "take in what raters sent back; all files are checked before any is stored"
    parser = add_command(actions, "import", _import, text)
    parser.add_argument("run", type=Path, metavar="RUN", help="run folder")
    parser.add_argument(
        "answers", type=Path, nargs="+", metavar="ANSWERS.json", help="files that pages saved"
    )
    text = "say what the votes say, with intervals, agreement and excluded raters"
    parser = add_command(actions, "show", _show, text)
    parser.add_argument("run", type=Path, metavar="RUN", help="run folder")


def _add_pack(actions: Commands) -> None:
    text = "write one offline page per rater, and the key, which raters must not get"
    parser = add_command(actions, "pack", _pack, text)
    parser.add_argument("run", type=Path, metavar="RUN", help="run folder")
    parser.add_argument("--raters", type=raters, required=True, metavar="N", help="pages to write")
    parser.add_argument(
        "--candidate",
        action="append",
        default=[],
        metavar="ARM",
        help="arm to judge, in pairs with the baseline; may be given again (default: the "
        "recommended one)",
    )
    parser.add_argument(
        "--form",
        choices=["pairs", "clips"],
        default="pairs",
        help="pairs: which of two is better? clips: would we publish this? yes, after retouch or "
        "no, with reasons and time, for acceptance rate and review minutes (default: pairs)",
    )
    parser.add_argument(
        "--per-rater",
        type=comparisons,
        metavar="K",
        help="pairs or clips per rater, beside repeats and catches (default: 30, or one a prompt)",
    )
    parser.add_argument("--seed", type=whole, default=0, help="seed of the design (default: 0)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for the pages")
    parser.add_argument("--lang", choices=["ja", "en"], default="ja", help="language shown first")


def _add_serve(actions: Commands) -> None:
    text = (
        "serve the pages of the packs on a network: prints a link for each rater, which works "
        "once, keeps each answer as it is given, and takes a pack in when its rater has finished"
    )
    parser = add_command(actions, "serve", _serve, text)
    parser.add_argument("run", type=Path, metavar="RUN", help="run folder, with packs made before")
    _add_votes(parser)
    parser.add_argument(
        "--address",
        default="127.0.0.1",
        help="address to listen on, 0.0.0.0 for the whole local network (default: this machine)",
    )
    parser.add_argument("--port", type=whole, default=8600, help="port (default: 8600)")
    parser.add_argument("--lang", choices=["ja", "en"], default="ja", help="language shown first")
    parser.add_argument(
        "--renew",
        action="store_true",
        help="new links for all who have not finished; former ones end, answers stay",
    )


def _add_votes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--votes",
        metavar="PATH|URL",
        help="where the server keeps votes: an SQLite file, or PostgreSQL as "
        "postgresql://USER@HOST:5432/NAME, the password in PGPASSWORD (default: a file in the run)",
    )


def _serve(arguments: argparse.Namespace) -> int:
    from poc.ballot import Ballot
    from poc.rating_server import Server
    from poc.store import RunStore

    with RunStore.open_reader(arguments.run) as store:
        ballot = Ballot.of(store, arguments.lang, arguments.votes)
        ballot.take_in()
        with Server(arguments.address, arguments.port, ballot) as server:
            host = _host(arguments.address)
            links = ballot.invite(renew=arguments.renew)
            start = f"http://{host}:{server.server_port}"
            if arguments.json:
                given = [{"rater": one.pseudonym, "link": start + one.path} for one in links]
                print(json.dumps({"address": start, "links": given}), flush=True)
            else:
                for one in links:
                    print(f"{one.pseudonym}: {start}{one.path}")
                print(f"serving {start} until Ctrl+C; {len(links)} new links", flush=True)
            with suppress(KeyboardInterrupt):
                server.serve_forever()
    return COMPLETE


def _host(address: str) -> str:
    """Return what others type: of a machine that listens on every address, its name."""
    return socket.gethostname() if address in {"", _EVERYWHERE} else address


def _collect(arguments: argparse.Namespace) -> int:
    from poc.ballot import take_in_served

    taken = take_in_served(arguments.run, arguments.votes)
    return _taken(taken.found, where=taken.where, as_json=arguments.json)


def _pack(arguments: argparse.Namespace) -> int:
    from poc.panel import Form
    from poc.rating_pack import PackJob, write_packs

    job = PackJob(
        run=arguments.run,
        raters=arguments.raters,
        candidates=tuple(arguments.candidate),
        per_rater=arguments.per_rater,
        seed=arguments.seed,
        out=arguments.out,
        language=arguments.lang,
        form=Form(arguments.form),
    )
    packed = write_packs(job)
    if arguments.json:
        print(json.dumps(packed.as_json(), ensure_ascii=False))
        return COMPLETE
    for path in packed.files:
        print(f"pack: {path}")
    left_out = sum(one.pairs for one in packed.panel.left_out)
    planned = sum(one.of for one in packed.panel.left_out)
    print(f"left out: {left_out} of {planned} {job.form}, where a clip is not ok")
    print(f"key, never given to raters: {packed.key}")
    return COMPLETE


def _import(arguments: argparse.Namespace) -> int:
    from poc.rating_import import import_answers

    found = import_answers(arguments.run, arguments.answers)
    return _taken(found, where=str(arguments.run), as_json=arguments.json)


def _taken(found: Sequence[Imported], *, where: str, as_json: bool) -> int:
    from poc.gate_report import shown

    if as_json:
        stored = [
            {"path": str(one.path), "rater": one.rater, "answered": one.answered, "of": one.trials}
            for one in found
        ]
        print(json.dumps({"imported": stored}, ensure_ascii=False))
        return COMPLETE
    for one in found:
        print(f"{shown(one.rater)}: {one.answered} of {one.trials} trials answered, {one.path}")
    if not found:
        print(f"nothing to take in from {shown(where)}")
    return COMPLETE


def _show(arguments: argparse.Namespace) -> int:
    from poc.rating_import import keep_votes, read_votes
    from poc.votes_table import votes_json, votes_text

    votes = read_votes(arguments.run)
    if arguments.json:
        print(json.dumps(votes_json(votes), ensure_ascii=False, allow_nan=False))
    else:
        print(votes_text(votes))
    try:
        keep_votes(arguments.run, votes)
    except InputError as error:  # what was asked for is said; pages miss it until it is written
        print(f"poc: not kept for the report: {plain(str(error))}", file=sys.stderr)
    return COMPLETE
