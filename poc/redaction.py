"""What was taken out of a run for good: a tombstone beside the records, and what readers see of it.

    redactions.jsonl   a line when a removal begins, with all that it will remove, one at its end

Records of what was made and measured stay, so a run can still be verified; frames, features,
exports and weights of a subject are gone. A removal that was cut short says so to every reader.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from poc.records import Record

REDACTIONS: Final = "redactions.jsonl"
OWN: Final = "own:"
"""Before the path of a file that lay with the models trained here, not in the run."""

Line = Annotated[str, Field(min_length=1, max_length=1000, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")]


class Removed(Record):
    """A file that is gone, and what it was."""

    path: str
    """Relative to the run; with `own:` before it, to the folder of models trained here."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

    @model_validator(mode="after")
    def _stays_inside(self) -> Self:
        """Refuse a path out of its folder: a run from others may remove nothing but its own."""
        inner = PurePosixPath(self.path.removeprefix(OWN))
        if inner.is_absolute() or not inner.parts or ".." in inner.parts or "\\" in self.path:
            raise ValueError(f"'{self.path}' does not lie in the folder that it is named in")
        return self


class Redaction(Record):
    """The beginning or the end of one removal; both lines say the same but for `action`, `time`."""

    action: Literal["begun", "done"]
    subject: Line
    """Entry of models.yaml: a LoRA, or the stills that LoRAs learnt from."""
    by: Line
    reason: Line
    time: str
    """UTC, ISO 8601."""
    arms: tuple[str, ...]
    """Ids of the arms that were made with it."""
    removed: tuple[Removed, ...]
    kept: tuple[str, ...]
    """What shows the subject and could not be reached, for somebody to see to."""


def unfinished(redactions: Iterable[Redaction]) -> tuple[Redaction, ...]:
    """Return the removals that began and did not end, oldest first."""
    begun: dict[str, Redaction] = {}
    for one in redactions:
        if one.action == "begun":
            begun[one.subject] = one
        else:
            begun.pop(one.subject, None)
    return tuple(begun.values())


def files(redactions: Iterable[Redaction]) -> frozenset[str]:
    """Return the paths, relative to the run, of all that was or is being removed."""
    paths = (gone.path for one in redactions for gone in one.removed)
    return frozenset(path for path in paths if not path.startswith(OWN))


def amiss(run: Path, redactions: tuple[Redaction, ...]) -> Iterator[str]:
    """Yield what does not hold: a removal without an end, a removed file that is there again."""
    for one in unfinished(redactions):
        yield (
            f"{REDACTIONS}: the removal of '{one.subject}' that began on {one.time} did not end: "
            f"some of {len(one.removed)} files may still be there. Type: poc redact {run} "
            f"--subject {one.subject} --by NAME --reason TEXT"
        )
    ended = [one for one in redactions if one.action == "done"]
    for path in sorted(files(ended)):
        if (run / path).exists():
            yield f"{path}: was removed by `poc redact` and is there again. Type the command again."


def described(redactions: Iterable[Redaction]) -> Iterator[str]:
    """Yield a line for each removal that ended, for readers of the run."""
    for one in redactions:
        if one.action == "done":
            yield (
                f"redacted on {one.time} by {one.by}: {len(one.removed)} files of "
                f"'{one.subject}' removed ({one.reason})"
            )
