"""What an estimate says of itself, which is English in a run, in the reader's language.

A sentence of another version of the program is shown as it came.
"""

from __future__ import annotations

import re
from typing import Final

from reports.text import Text, shown

Forms = tuple[tuple[str, re.Pattern[str]], ...]
"""Keys of the locale, each with the sentence that it stands for; groups are its blanks."""

_NOTES: Final[Forms] = (
    ("note.noise_floor", re.compile(r"noise floor (?P<value>\S+) at n = (?P<n>\d+)")),
    ("note.extractor", re.compile(r"extractor (?P<name>\S.*)")),
    ("note.against", re.compile(r"against (?P<n>\d+) clips of (?P<name>.+)")),
)

_METHODS: Final[Forms] = (
    ("how.wilson", re.compile(r"Wilson")),
    ("how.tango", re.compile(r"paired rates over prompts, Tango's score")),
    (
        "how.bootstrap",
        re.compile(r"bootstrap over prompts \((?P<kind>\w+)\) or t, the farther end"),
    ),
    ("how.bootstrap.alone", re.compile(r"bootstrap over prompts \((?P<kind>\w+)\)")),
    ("how.t", re.compile(r"t on per-prompt values")),
    ("how.order", re.compile(r"order statistics (?P<low>\d+) and (?P<high>\d+) of (?P<n>\d+)")),
    ("how.rounds", re.compile(r"bootstrap over rounds, paired \(percentile\)")),
    (
        "how.jackknife",
        re.compile(r"jackknife over prompts, of arm and reference together, skew-corrected"),
    ),
    (
        "how.jackknife.both",
        re.compile(
            r"jackknife over prompts and over reference clips, which are taken for independent, "
            r"skew-corrected"
        ),
    ),
    ("how.frechet", re.compile(r"Frechet distance of video features, no interval")),
    ("how.maximum.clips", re.compile(r"maximum over timed clips")),
    ("how.maximum.batches", re.compile(r"maximum over timed batches")),
    ("how.same", re.compile(r"none needed: every prompt gives the same value")),
    ("how.none", re.compile(r"none")),
)
_BEFORE: Final[Forms] = (
    ("how.paired.ratio", re.compile(r"paired, on logarithms: (?P<rest>.+)")),
    ("how.paired", re.compile(r"paired (?P<rest>.+)")),
    ("how.ratio.rounds", re.compile(r"rounds' ratios, (?P<rest>.+)")),
)
"""What may stand before a method: how two arms were compared by it."""

_REASONS: Final[Forms] = (
    ("why.frechet", re.compile(r"an interval is given for KVD only; FVD is biased at small n")),
    ("why.cold", re.compile(r"a single first call has no interval")),
    ("why.maximum", re.compile(r"a maximum has no interval")),
    ("why.untimed", re.compile(r"no timed round|no first call was timed")),
    ("why.features", re.compile(r"fewer than 2 clips, or no reference set, have features")),
    ("why.unpaired", re.compile(r"no prompt and replicate has a value in both arms")),
    ("why.unmeasured", re.compile(r"not measured")),
    ("why.unvalued", re.compile(r"no clip has a value: (?P<why>.+)")),
    ("why.single", re.compile(r"1 prompt: an interval needs at least 2")),
    ("why.zero", re.compile(r"the mean comes too close to 0 for a ratio")),
    (
        "why.rounds",
        re.compile(r"(?P<n>\d+) rounds; an interval of the median needs (?P<needed>\d+)"),
    ),
    (
        "why.clock",
        re.compile(r"the baseline took 0 seconds in a round: its clock is too coarse for a ratio"),
    ),
    (
        "why.mixed",
        re.compile(
            r"not comparable with the baseline: reference: (?P<ours>.+) against (?P<its>.+)"
        ),
    ),
    ("why.unlike", re.compile(r"not comparable with the baseline: (?P<rest>.+)")),
    ("why.versions", re.compile(r"not comparable: (?P<rest>.+)")),
    (
        "why.same",
        re.compile(r"all (?P<n>\d+) prompts give the same value: no spread to judge by"),
    ),
)


def is_protocol(note: str) -> bool:
    """Return whether a note of an estimate says what its value stands on."""
    return any(form.fullmatch(note) for _, form in _NOTES)


def note(text: Text, said: str) -> str:
    """Return a note of an estimate."""
    return _said(text, _NOTES, said)


def reason(text: Text, said: str) -> str:
    """Return why an estimate has no value or no interval; nothing where it has both."""
    return _said(text, _REASONS, said)


def method(text: Text, said: str) -> str:
    """Return how an interval was reckoned; nothing where the run does not say."""
    for key, form in _BEFORE:
        found = form.fullmatch(said)
        if found and not any(whole.fullmatch(said) for _, whole in _METHODS):
            return text(key, rest=method(text, found["rest"]))
    return _said(text, _METHODS, said)


def _said(text: Text, forms: Forms, said: str) -> str:
    for key, form in forms:
        if found := form.fullmatch(said):
            return text(key, **{name: shown(part) for name, part in found.groupdict().items()})
    return shown(said)
