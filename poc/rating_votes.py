"""The summed-up votes of a run as one derived file, so that a page reads them and counts nothing.

`rating/votes.json` follows from the keys and the answers beside it. It names every file of answers
that it counted, so that a reader notices when it is not the whole any more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import ValidationError

from poc import disk, run_folder
from poc.errors import InputError
from poc.panel import Panel
from poc.rating_folder import FOLDER, imported, read_answers, read_panels, votes_path
from poc.records import Plan
from poc.vote_records import VotesOfRun
from poc.votes import analyse


def require_panels(run: Path, panels: Sequence[Panel]) -> None:
    """Raise InputError where nobody was asked yet."""
    if not panels:
        raise InputError(
            f"{run}: expected a panel of raters, found none. Make one with `poc rate pack`."
        )


def sum_up(run: Path, plan: Plan) -> VotesOfRun:
    """Return what the answers imported so far say; never writes.

    Raises:
        InputError: no panel yet, or a key or stored answers that cannot be read.
    """
    panels = read_panels(run, plan.content_digest())
    require_panels(run, panels)
    files = read_answers(run, panels)
    try:
        summary = analyse(panels, files)
    except ValueError as error:
        raise InputError(f"{run}: {error}. Restore rating/ from a copy.") from error
    return VotesOfRun(
        format_version=1,
        kind=plan.spec.kind,
        plan_digest=plan.content_digest(),
        baseline_id=plan.baseline_id,
        answers=imported(run),
        summary=summary,
    )


def write_votes(run: Path, votes: VotesOfRun) -> None:
    """Replace votes.json whole; the folder of ratings must be owned."""
    path = votes_path(run)
    disk.publish(path, votes.to_json().encode() + b"\n")
    disk.sync_folder(path.parent)


def stored_votes(run: Path, plan: Plan) -> VotesOfRun | None:
    """Return the summed-up votes as they lie in the folder; None where nobody has answered.

    Raises:
        InputError: answers are there that were not summed up, or the sum cannot be read; says what
            to type.
    """
    run_folder.refuse_links(run)
    if (run / FOLDER).is_dir():
        run_folder.refuse_links(run / FOLDER)
    path, answers = votes_path(run), imported(run)
    if not path.exists():
        if answers:
            raise InputError(f"{path}: is not there, but answers are. {_mend(run)}")
        return None
    found = _decoded(run, path)
    arms = {arm.id for arm in plan.arms}
    asked = {found.baseline_id, *(one.candidate_id for one in found.summary.candidates)}
    asked |= {one.arm_id for one in found.summary.arms}
    fits = found.plan_digest == plan.content_digest() and asked <= arms
    if not answers or found.answers != answers or not fits:
        raise InputError(f"{path}: was summed up from other answers. {_mend(run)}")
    return found


def _decoded(run: Path, path: Path) -> VotesOfRun:
    try:
        return VotesOfRun.from_json(run_folder.read_bytes(path))
    except ValidationError as error:
        raise InputError(f"{path}: cannot be read. {_mend(run)}") from error


def _mend(run: Path) -> str:
    return f"`poc rate show {run}` sums them up."


def votes_amiss(run: Path, plan: Plan) -> Iterator[str]:
    """Yield what does not hold of a stored sum; a run without one is none the worse for it."""
    if not votes_path(run).exists():
        return
    try:
        there, follows = stored_votes(run, plan), sum_up(run, plan)
    except InputError as error:
        yield str(error)
        return
    if there != follows:
        yield f"{votes_path(run)}: is not what follows from the answers. {_mend(run)}"
