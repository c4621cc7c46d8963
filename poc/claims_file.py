"""The published claims that a run is held against: what claims.yaml may say, and its reader.

A claim carries what was published, under which conditions, and the tests that would answer it: each
names an estimate that a run has and the line that its whole interval must lie beyond. A claim that
no such run can answer says why instead.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from poc.errors import did_you_mean
from poc.records import Record
from poc.spec import known_metrics, split_metric
from poc.strict_yaml import Node, Problem, decode, load, read_text, refuse

CLAIMS: Final = Path(__file__).parent / "specs" / "claims.yaml"

STYLE: Final = "{style}"
"""Stands in a test's metric for the style of the arm that is tested."""

Words = Annotated[str, Field(min_length=2, max_length=400, pattern=r"^[^\x00-\x1f\x7f]+$")]


class How(StrEnum):
    """What a test looks at; the last two are made of the ratio to the baseline."""

    VALUE = "value"
    DIFFERENCE = "difference"
    """Paired by prompt: to the baseline, or to `against` where a contrast of the spec has it."""
    RATIO = "ratio"
    """Arm over baseline."""
    SPEED_UP = "speed_up"
    """Baseline over arm: how many times as fast."""
    SPEED_UP_PER_NFE = "speed_up_per_nfe"
    """The speed-up over the ratio of NFE: 1 where every network evaluation takes as long."""


class Condition(StrEnum):
    """What a published number depends on; WORLD is where a demonstration takes place."""

    WORLD = "world"
    DEVICE = "device"
    DTYPE = "dtype"
    MODEL = "model"
    TRAINING = "training"
    CLIP = "clip"
    NFE = "nfe"
    LATENCY = "latency"
    MEASURE = "measure"


class Conditions(Record):
    """Under which a claim was published; None where the source does not say or it is no matter."""

    device: Words | None
    """Part of a device's name, such as A800."""
    dtype: Literal["float32", "float16", "bfloat16"] | None
    model: Words | None
    frames: Annotated[int, Field(ge=1)] | None
    pixels: Annotated[int, Field(ge=1)] | None
    """Height and width of the square frames."""
    nfe: Annotated[int, Field(ge=1)] | None
    """Network evaluations of the fast arm."""
    baseline_nfe: Annotated[int, Field(ge=1)] | None
    """Network evaluations of what it was compared with."""
    latency: Literal["denoise", "whole"] | None
    """What seconds cover: denoising without VAE decoding, or prompt in to file out."""
    measure: Words | None
    """By which quality was judged."""
    measure_ja: Words | None


class PublishedValue(Record):
    """One published number: `value` in `unit` ('x' for how many times as fast)."""

    what: Words
    what_ja: Words
    value: float
    unit: Annotated[str, Field(max_length=12)]


class ClaimLook(Record):
    """One estimate: of what, of which arms, against what."""

    metric: Words
    """As specs name it; `{style}` in it is the arm's style."""
    how: How
    arms: Words
    """Name of the arm; `*` stands for any text. Every arm that fits is tested."""
    styled: bool
    """Whether arms with a style are meant, or those without."""
    against: Words | None
    """Name of the arm compared with; None is the baseline."""

    @model_validator(mode="after")
    def _one_estimate(self) -> Self:
        if self.against is not None and self.how is not How.DIFFERENCE:
            raise ValueError(f"'against' is for differences; {self.how} is to the baseline")
        if STYLE in self.metric and not self.styled:
            raise ValueError(f"'{self.metric}' asks for the arm's style. Give 'styled: true'")
        return self


class ClaimTest(ClaimLook):
    """One estimate and the line, or two, beyond which its whole interval must lie."""

    above: float | None
    below: float | None

    @model_validator(mode="after")
    def _one_question(self) -> Self:
        if self.above is None and self.below is None:
            raise ValueError("give 'above', 'below' or both: the line that decides")
        if self.above is not None and self.below is not None and self.above >= self.below:
            raise ValueError(f"'above' {self.above} must be less than 'below' {self.below}")
        return self


class Claim(Record):
    """One claim in our words, where it stands, and how it is tested."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
    label: Annotated[Words, Field(max_length=48)]
    """Short, for tables."""
    label_ja: Annotated[Words, Field(max_length=48)]
    text: Words
    text_ja: Words
    source: Words
    """Work, version and place."""
    published: tuple[PublishedValue, ...]
    """The first one stands for the claim in tables; empty when it was made in words only."""
    conditions: Conditions
    must_match: tuple[Condition, ...]
    """Conditions without which the claim cannot be tested: numbers are shown, nothing is said."""
    tests: tuple[ClaimTest, ...]
    """All must hold for the claim to be confirmed; one that does not is enough against it."""
    beside: tuple[ClaimLook, ...] = ()
    """What a reader should know beside the tests; decides nothing."""
    untestable: Words | None
    """Why no run can test it; given exactly where there are no tests."""
    untestable_ja: Words | None
    needed: Words | None = None
    """What it would take to test it after all; given exactly where `untestable` is."""
    needed_ja: Words | None = None

    @model_validator(mode="after")
    def _tested_or_not(self) -> Self:
        reasons = (self.untestable is not None, self.untestable_ja is not None)
        if set(reasons) != {not self.tests}:
            raise ValueError(
                f"claim '{self.id}': give tests, or 'untestable' and 'untestable_ja', not both"
            )
        if {self.needed is not None, self.needed_ja is not None} != {self.untestable is not None}:
            raise ValueError(
                f"claim '{self.id}': 'needed' and 'needed_ja' go with 'untestable', or neither"
            )
        return self


class ClaimsFile(Record):
    """claims.yaml as a whole, in the order in which people read it."""

    version: Literal[1]
    claims: Annotated[tuple[Claim, ...], Field(min_length=1)]


def read_claims(path: Path = CLAIMS) -> ClaimsFile:
    """Read the claims; raises `InputError` with the line of every fault."""
    node = load(read_text(path), path)
    file = decode(ClaimsFile, node, path)
    refuse(path, _problems(file, node))
    return file


def _problems(file: ClaimsFile, node: Node) -> Iterator[Problem]:
    repeated = {name for name, n in Counter(c.id for c in file.claims).items() if n > 1}
    for place, claim in enumerate(file.claims):
        at = node.get("claims", place)
        if claim.id in repeated:
            yield Problem(at.get("id").line, f"two claims are called '{claim.id}'. Rename one.")
        for part, looks in (("tests", claim.tests), ("beside", claim.beside)):
            for number, look in enumerate(looks):
                name = split_metric(look.metric).name
                if name not in known_metrics():
                    hint = did_you_mean(name, known_metrics())
                    line = at.get(part, number, "metric").line
                    yield Problem(line, f"unknown metric '{look.metric}'. {hint}")
