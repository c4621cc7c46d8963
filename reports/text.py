"""Words and numbers as people read them, in Japanese and English. Formats; computes nothing.

Every visible sentence stands in `locale/<language>.json` under one key. Names and one-line
explanations of metrics come from there too where the catalog's own label needs help.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final, Literal, get_args

from metrics.catalog import CATALOG, Direction
from poc.records import Arm, Comparison, Criterion, Estimate, Finding, Plan, ReferenceSet

Language = Literal["ja", "en"]
LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)

_BIDI: Final = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
MINUS: Final = "−"


@dataclass(frozen=True, slots=True)
class Text:
    """One language's sentences: `text("page.title")`, `text("n.clips", n=64)`."""

    language: Language
    table: Mapping[str, str]

    def __call__(self, key: str, **values: object) -> str:
        """Return the sentence of `key` with its gaps filled.

        Raises:
            KeyError: no such sentence; every sentence exists in both languages.
        """
        if key not in self.table:
            raise KeyError(f"reports/locale/{self.language}.json: no sentence '{key}'")
        return self.table[key].format(**values)

    def get(self, key: str, otherwise: str) -> str:
        """Return the sentence of `key`, or `otherwise` for names that users may invent."""
        return self.table.get(key, otherwise)

    def pick(self, finding: Finding) -> str:
        """Return a finding in this language."""
        return finding.text_ja if self.language == "ja" else finding.text_en


@cache
def load_text(language: Language) -> Text:
    """Read one language's table.

    >>> load_text("en").language
    'en'
    """
    raw = files("reports").joinpath("locale", f"{language}.json").read_text("utf-8")
    table: dict[str, str] = json.loads(raw)
    return Text(language, table)


def language_of(tag: str | None) -> Language:
    """Return the language for a browser's tag such as 'ja-JP'; Japanese when none is given.

    >>> language_of("en-GB"), language_of("ja"), language_of(None)
    ('en', 'ja', 'ja')
    """
    return "ja" if tag is None or tag.lower().startswith("ja") else "en"


def shown(hostile: str, limit: int = 400) -> str:
    r"""Return foreign text safe to place in a line: control and direction marks made visible.

    Escaping for HTML is the template's work, not done here.

    >>> shown("a\u202eb\n")
    'a⟨U+202E⟩b⟨U+000A⟩'
    """
    cut = hostile if len(hostile) <= limit else hostile[: limit - 1] + "…"
    return "".join(f"⟨U+{ord(c):04X}⟩" if _invisible(c) else c for c in cut)


def _invisible(char: str) -> bool:
    if char in _BIDI or ord(char) & 0xFFFE == 0xFFFE:  # the latter are no letters, nor valid XML
        return True
    return unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"}


def harmless_cell(value: object) -> object:
    """Return a cell that no spreadsheet takes for a formula; numbers stay numbers.

    >>> harmless_cell("=HYPERLINK(1)"), harmless_cell("a=1"), harmless_cell(-1.5)
    ("'=HYPERLINK(1)", 'a=1', -1.5)
    """
    if not isinstance(value, str):
        return value
    safe = shown(value, 4000)
    return f"'{safe}" if safe.lstrip()[:1] in set("=+-@＝＋－＠") else safe


# --- names ---------------------------------------------------------------------------------------


def metric_label(text: Text, metric: str) -> str:
    """Return a metric's name: from the locale, else the catalog, else as it came.

    `style_similarity[pastel]` is a metric with an argument; the argument is named too.
    """
    name, argument = _parts(metric)
    row = CATALOG.get(name)
    label = (row.label_ja if text.language == "ja" else row.label_en) if row else shown(name)
    label = text.get(f"metric.{name}.label", label)
    if not argument:
        return label
    return text("arm.styled", group=label, style=text.get(f"style.{argument}", shown(argument)))


def of_one_clip(text: Text, metric: str) -> str:
    """Return what a metric is called where a single clip meets it or does not, no share of clips.

    >>> of_one_clip(load_text("ja"), "oracle_shape"), of_one_clip(load_text("en"), "kvd")
    ('形が指示どおり', 'KVD')
    """
    return text.get(f"metric.{_parts(metric)[0]}.one", metric_label(text, metric))


def metric_help(text: Text, metric: str) -> str:
    """Return the one-line explanation of a metric, empty when there is none."""
    return text.get(f"metric.{_parts(metric)[0]}.help", "")


def _parts(metric: str) -> tuple[str, str]:
    name, _, argument = metric.partition("[")
    return name, argument.rstrip("]")


def direction(metric: str) -> Direction:
    """Return which way is better; NONE for metrics that the catalog does not know."""
    row = CATALOG.get(_parts(metric)[0])
    if row is None:
        return Direction.HIGHER if metric.endswith("_share") else Direction.NONE
    return row.direction


def is_share(metric: str) -> bool:
    """Return whether a metric is a share of clips, shown in per cent.

    >>> is_share("oracle_all"), is_share("kvd")
    (True, False)
    """
    return _unit(metric)[0] == "share"


def whole(text: Text, number: int | None) -> str:
    """Return a whole number as people read it, and what stands for one that is not known."""
    return text("number.none") if number is None else str(number)


def given(value: float) -> str:
    """Return a number that somebody gave, with its digits.

    >>> given(6e6), given(0.05)
    ('6,000,000', '0.05')
    """
    return f"{value:,.10g}" if abs(value) >= 1000 else f"{value:g}"


def arm_name(text: Text, arm: Arm) -> str:
    """Return an arm's name for people: 'AnimateLCM (pastel), 4 steps'."""
    if arm.is_imported:
        return text("arm.imported", group=arm_group(text, arm))
    key = "arm.full.one" if arm.steps == 1 else "arm.full"
    return text(key, group=arm_group(text, arm), steps=arm.steps)


def arm_group(text: Text, arm: Arm) -> str:
    """Return what an arm is without its step count: the series it belongs to on a curve.

    Known stems are translated; any other name is shown as the spec wrote it.
    """
    stem = arm.name
    if arm.steps is not None:  # "stills-14" of 4 steps keeps its 14
        stem = re.sub(rf"[-_ ]?(?<![\d.]){arm.steps}$", "", stem)
    if arm.style:
        stem = re.sub(rf"[-_ ]?{re.escape(arm.style)}", "", stem)
    known = text.get(f"arm.{stem}", shown(stem))
    if not arm.style:
        return known
    return text("arm.styled", group=known, style=style_name(text, arm.style))


def style_name(text: Text, style: str) -> str:
    """Return a style's name for people; one that nobody translated as the spec wrote it."""
    return text.get(f"style.{style}", shown(style))


def criterion_label(text: Text, criterion: Criterion) -> str:
    """Return what a criterion looks at: 'KVD, times the baseline'."""
    how = text(f"comparison.{criterion.comparison}")
    label = text("criterion.label", metric=metric_label(text, criterion.metric), how=how)
    if criterion.each is None:
        return label
    return text("criterion.each", label=label, factor=factor_label(text, criterion.each))


def criterion_name(text: Text, criterion: Criterion) -> str:
    """Return what the criteria file calls a criterion, which is English: empty in Japanese."""
    return "" if text.language == "ja" else shown(criterion.name)


def sentence(text: Text, plan: Plan, one: Finding) -> str:
    """Return a sentence of a decision with settings, and in Japanese criteria, as pages call them.

    A run's own sentences have the names of its files. In English a name that is a plain word is
    left alone, and criteria have names that are English already.
    """
    labels = {arm.name: arm_name(text, arm) for arm in plan.arms}
    if text.language == "ja":
        labels |= {one.name: criterion_label(text, one) for one in plan.criteria.criteria}
    else:
        labels = {name: label for name, label in labels.items() if not name.isalpha()}
    return shown(with_labels(text.pick(one), labels), 2000)


def with_labels(said: str, labels: Mapping[str, str]) -> str:
    """Return a sentence with labels in the place of the names that they are of, the longest first.

    >>> with_labels("a-4 and a-40", {"a-4": "A, 4 steps"})
    'A, 4 steps and a-40'
    """
    if not labels:
        return said
    longest_first = sorted(labels, key=len, reverse=True)
    names = re.compile(rf"(?<!\w)({'|'.join(map(re.escape, longest_first))})(?!\w)", re.ASCII)
    return names.sub(lambda found: labels[found[0]], said)


def factor_label(text: Text, factor: str) -> str:
    """Return what a factor of the prompts is called: 'viewpoint' for camera."""
    return text.get(f"slice.factor.{factor}", shown(factor))


def slice_label(text: Text, value: str) -> str:
    """Return what a slice is called, the prompts' own word where there is no other."""
    return text.get(f"slice.value.{value}", shown(value))


# --- numbers -------------------------------------------------------------------------------------


def number(text: Text, metric: str, how: Comparison, value: float | None) -> str:
    """Return a value with its unit: '83.0 %', '−3.1 points', '×0.10', '0.262 s'."""
    if value is None:
        return text("number.none")
    if how is Comparison.RATIO:
        return text("number.ratio", value=_figure(value))
    unit, scale = _unit(metric)
    if unit == "share":
        kind = "points" if how is Comparison.DIFFERENCE else "share"
        return text(f"number.{kind}", value=_signed(_percent(100 * value), how))
    return text(f"number.{unit}", value=_signed(_figure(value / scale), how))


def interval(text: Text, metric: str, how: Comparison, ends: tuple[float | None, ...]) -> str:
    """Return 'low to high' with units, or the word for no interval."""
    if any(end is None for end in ends):
        return text("number.no_interval")
    low, high = (number(text, metric, how, end) for end in ends)
    return text("number.interval", low=low, high=high)


def estimate(text: Text, found: Estimate) -> tuple[str, str]:
    """Return an estimate's value and its interval."""
    value = number(text, found.metric, found.comparison, found.value)
    return value, interval(text, found.metric, found.comparison, (found.low, found.high))


def reference(text: Text, plan: Plan, one: ReferenceSet) -> str:
    """Return a reference set's name and size, or that its folder is not there yet."""
    count = plan.size_of(one)
    key = "method.reference.said" if count else "method.reference.absent"
    return text(key, n=count, name=shown(one.name))


def percent(text: Text, share: float | None) -> str:
    """Return a share of resamples: '93 %'; never '100 %' or '0 %' for what only comes close."""
    if share is None:
        return text("number.none")
    if 0.99 <= share < 1:
        return text("number.over", value="99")
    if 0 < share <= 0.01:
        return text("number.under", value="1")
    return text("number.share", value=f"{100 * share:.0f}")


def bound(text: Text, criterion: Criterion, value: float) -> str:
    """Return a target or minimum: '≥ −5.0 points', '≤ ×0.333', 'within ×0.80 to ×1.25'."""
    how, metric = criterion.comparison, criterion.metric
    if criterion.direction == "window":
        ends = _window(criterion, value)
        return text("bound.window", range=interval(text, metric, how, ends))
    return text(f"bound.{criterion.direction}", value=number(text, metric, how, value))


def _window(criterion: Criterion, half: float) -> tuple[float, float]:
    """Spell out the ends of a window; for ratios the half-width is on a log scale."""
    centre = criterion.centre or 0.0
    if criterion.comparison is Comparison.RATIO:
        return centre * math.exp(-half), centre * math.exp(half)
    return centre - half, centre + half


def _unit(metric: str) -> tuple[str, float]:
    row = CATALOG.get(_parts(metric)[0])
    unit = row.unit if row else ""
    if unit == "":
        unit = next((unit for end, unit in _ENDS.items() if metric.endswith(end)), "")
    if unit == "fraction of clips" or metric.endswith("_share"):
        return "share", 1.0
    if unit == "bytes":
        return "megabytes", 1e6
    return _UNITS.get(unit, "plain"), 1.0


_ENDS: Final = {"_clips_per_s": "clips/s", "_bytes": "bytes", "_s": "s"}
"""End of a metric's name -> its unit, for what the catalog does not know."""

_UNITS: Final = {
    "s": "seconds",
    "clips/s": "clips_per_s",
    "px": "pixels",
    "px/frame": "pixels_per_frame",
}


def _percent(value: float) -> str:
    """Return one decimal; more where a value that is not 0 would read as 0.

    >>> _percent(12.34), _percent(-0.03), _percent(0.0)
    ('12.3', '-0.03', '0.0')
    """
    figure = f"{value:.1f}"
    is_lost = value and not figure.strip("-0.") and abs(value) >= 1e-4
    return f"{value:.1g}" if is_lost else figure


def _figure(value: float) -> str:
    """Return three significant figures without exponent for the sizes we meet.

    >>> _figure(0.0301), _figure(26.13), _figure(1234.5), _figure(-0.5)
    ('0.0301', '26.1', '1,234', '−0.500')
    """
    size = abs(value)
    digits = 0 if size == 0 else max(0, 2 - math.floor(math.log10(size)))
    return f"{value:,.{min(digits, 6)}f}".replace("-", MINUS)


def _signed(figure: str, how: Comparison) -> str:
    """Write the sign of a difference, and none before a zero that was rounded to."""
    bare = figure.lstrip("-" + MINUS)
    if not bare.strip("0.,"):
        return bare
    sign = MINUS if bare != figure else ("+" if how is Comparison.DIFFERENCE else "")
    return sign + bare
