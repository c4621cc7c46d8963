"""A delivery: every take that somebody else made for us, as they state it.

Nobody here timed or paid for these clips, so price and time are *stated, not measured*. What was
ordered and is not there counts as failed: a folder of the takes that came out well is no sample.
Pure: text in, records out.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple, TypeVar

import numpy as np

from poc.clip_folder import listed
from poc.clip_records import ClipReport, Role, Status
from poc.errors import InputError, did_you_mean
from poc.records import Counts, Delivery, DeliverySummary

COLUMNS: Final = (
    "file",
    "prompt",
    "attempt",
    "price",
    "currency",
    "requested",
    "received",
    "picked",
)
STATED: Final = "stated, not measured"
MAX_ATTEMPT: Final = 1000
"""More takes of one prompt nobody makes, and each that is left out counts as a failed clip."""
Value = TypeVar("Value")
_PICKED: Final = {"yes": True, "no": False}


@dataclass(frozen=True, slots=True)
class Take:
    """One try at one prompt; `file` is None where nothing was delivered."""

    file: str | None
    prompt: str
    attempt: int
    price: float | None
    currency: str | None
    requested: datetime | None
    received: datetime | None
    picked: bool
    """Somebody chose it from several by eye: its numbers flatter."""

    @property
    def latency_s(self) -> float | None:
        """Seconds from request to receipt as stated; None where either is not."""
        if self.requested is None or self.received is None:
            return None
        return (self.received - self.requested).total_seconds()


def parse_delivery(text: str, where: str, files: Sequence[str]) -> tuple[Take, ...]:
    """Return the takes of a delivery CSV with the columns `COLUMNS`; all faults in one error.

    Empty are: a file that was not delivered, a price or a time that is not stated. Times are ISO
    8601 with their zone. Every clip among `files` has to be a take.

    Raises:
        InputError: no such columns, a wrong value, a take or a file twice, a clip that is no take.
    """
    rows = _rows(text, where)
    takes: list[Take] = []
    problems = []
    for line, row in rows:
        try:
            takes.append(_take(row, takes))
        except ValueError as error:
            problems.append(f"{where}:{line}: {error}")
    named = {take.file for take in takes}
    strangers = [name for name in files if name not in named]
    if strangers and not problems:
        problems.append(
            f"{where}: {listed(strangers)}: in the folder and no take of the delivery. List every "
            "take, or remove the file."
        )
    if problems:
        raise InputError("\n".join(problems))
    return tuple(takes)


def _rows(text: str, where: str) -> list[tuple[int, dict[str, str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        lines = [(reader.line_num, row) for row in reader if row]
    except csv.Error as error:
        raise InputError(f"{where}:{reader.line_num}: no readable CSV ({error}).") from error
    header = lines[0][1] if lines else []
    if sorted(header) != sorted(COLUMNS):
        missing = [name for name in COLUMNS if name not in header]
        other = [name for name in header if name not in COLUMNS]
        got = f"lacks {listed(missing, 8)}" if missing else f"has {listed(other)} besides"
        hint = f" {did_you_mean(other[0], COLUMNS)}" if missing and other else ""
        raise InputError(f"{where}:1: expected the columns {','.join(COLUMNS)}; it {got}.{hint}")
    for line, row in lines[1:]:
        if len(row) != len(header):
            raise InputError(
                f"{where}:{line}: expected {len(header)} fields, got {len(row)}. "
                "Put a prompt with a comma in quotes."
            )
    return [(line, dict(zip(header, map(str.strip, row), strict=True))) for line, row in lines[1:]]


def _check_currency(currency: str, price: float | None) -> None:
    if currency and not re.fullmatch(r"[A-Za-z]{3}", currency):
        raise ValueError("'currency': expected three letters such as JPY (ISO 4217).")
    if (price is None) != (currency == ""):
        raise ValueError("'price' and 'currency' go together. Give both, or leave both empty.")


def _take(row: Mapping[str, str], before: Sequence[Take]) -> Take:
    """Return one take; raises ValueError that says what is wrong with the line."""
    prompt = " ".join(row["prompt"].split())
    if not prompt:
        raise ValueError("'prompt' is empty. Every take was made for one.")
    attempt = _value(row, "attempt", int, "a whole number of 1 or more")
    if attempt is None or not 1 <= attempt <= MAX_ATTEMPT:
        expected = f"expected a whole number of 1 to {MAX_ATTEMPT}"
        raise ValueError(f"'attempt': {expected}, got {row['attempt']!r}")
    price = _value(row, "price", float, "a number of 0 or more, or nothing")
    if price is not None and not (math.isfinite(price) and price >= 0):
        raise ValueError(f"'price': expected a number of 0 or more, got {row['price']!r}.")
    _check_currency(row["currency"], price)
    requested, received = _time(row, "requested"), _time(row, "received")
    if requested is not None and received is not None and received < requested:
        raise ValueError("'received' lies before 'requested'. Check both and their zones.")
    if row["picked"] not in _PICKED:
        raise ValueError(f"'picked': expected yes or no, got {row['picked']!r}.")
    file = row["file"] or None
    for other in before:
        if (other.prompt, other.attempt) == (prompt, attempt):
            raise ValueError(f"attempt {attempt} of this prompt is listed twice. Remove one line.")
        if file is not None and other.file == file:
            raise ValueError(f"'{file}' is listed twice. Remove one line.")
    return Take(
        file=file,
        prompt=prompt,
        attempt=attempt,
        price=price,
        currency=row["currency"] or None,
        requested=requested,
        received=received,
        picked=_PICKED[row["picked"]],
    )


def _value(
    row: Mapping[str, str], name: str, kind: Callable[[str], Value], what: str
) -> Value | None:
    if row[name] == "":
        return None
    try:
        return kind(row[name])
    except ValueError:
        raise ValueError(f"'{name}': expected {what}, got {row[name]!r}.") from None


def _time(row: Mapping[str, str], name: str) -> datetime | None:
    what = "a time with its zone such as 2026-11-01T09:30:00+09:00"
    found = _value(row, name, datetime.fromisoformat, what)
    if found is not None and found.tzinfo is None:
        raise ValueError(f"'{name}': expected {what}, got {row[name]!r}.")
    return found


# --- what is missing -----------------------------------------------------------------------------


def missing_takes(takes: Sequence[Take], files: Sequence[str]) -> Iterator[ClipReport]:
    """Yield a failed clip for each take without a file, and for each attempt that is left out.

    Attempts are numbered from 1: where the third is listed there were a first and a second.
    """
    there = set(files)
    for take in takes:
        if take.file is None:
            yield _failed(take.prompt, take.attempt, "nothing was delivered")
        elif take.file not in there:
            yield _failed(take.prompt, take.attempt, f"'{take.file}' is not in the folder")
    attempts: dict[str, set[int]] = {}
    for take in takes:
        attempts.setdefault(take.prompt, set()).add(take.attempt)
    for prompt, known in attempts.items():
        for attempt in sorted(set(range(1, max(known))) - known):
            yield _failed(prompt, attempt, "a take that the delivery does not list")


def _failed(prompt: str, attempt: int, reason: str) -> ClipReport:
    return ClipReport(
        name=f"take {attempt} of {prompt}",
        role=Role.CLIP,
        status=Status.FAILED,
        reason=reason,
        shape=None,
        frames_digest=None,
        prompt=prompt,
        rows=(),
    )


# --- what is stated ------------------------------------------------------------------------------


def delivery_summary(takes: Sequence[Take], clips: Sequence[ClipReport]) -> DeliverySummary:
    """Return what a delivery states of itself, beside how many of its takes can be used.

    The price of a usable clip is that of all takes over the clips that are ok: who sells takes
    sells the failed ones too.
    """
    ok = sum(clip.status is Status.OK for clip in clips)
    total, currency, why_no_price = price_of(
        [(take.price, take.currency) for take in takes], unlisted=len(clips) - len(takes)
    )
    seconds = [take.latency_s for take in takes if take.latency_s is not None]
    return DeliverySummary(
        basis=STATED,
        takes=len(clips),
        ok=ok,
        picked=tuple(f"take {t.attempt} of {t.prompt}" for t in takes if t.picked),
        currency=currency,
        price_total=total,
        price_per_ok=total / ok if total is not None and ok else None,
        price_reason=why_no_price or ("" if ok else "no take can be used"),
        latency_n=len(seconds),
        latency_median_s=float(np.median(seconds)) if seconds else None,
        latency_max_s=max(seconds, default=None),
    )


def delivery_stated(delivery: Delivery, counts: Counts) -> DeliverySummary:
    """Return what a delivery states of itself, beside how many of its takes can be used."""
    total, currency, why = price_of(
        [(take.price, take.currency) for take in delivery.takes if take.listed],
        unlisted=sum(not take.listed for take in delivery.takes),
    )
    seconds = [take.latency_s for take in delivery.takes if take.latency_s is not None]
    return DeliverySummary(
        basis=STATED,
        takes=counts.planned,
        ok=counts.ok,
        picked=tuple(f"take {t.attempt} of {t.prompt_id}" for t in delivery.takes if t.picked),
        currency=currency,
        price_total=total,
        price_per_ok=total / counts.ok if total is not None and counts.ok else None,
        price_reason=why or ("" if counts.ok else "no take can be used"),
        latency_n=len(seconds),
        latency_median_s=float(np.median(seconds)) if seconds else None,
        latency_max_s=max(seconds, default=None),
    )


class Price(NamedTuple):
    """The price of all takes, or why there is none."""

    total: float | None
    currency: str | None
    reason: str


def price_of(prices: Sequence[tuple[float | None, str | None]], *, unlisted: int) -> Price:
    """Return the price of all takes, each with its currency; a sum is only of what is all known."""
    if not prices:
        return Price(None, None, "no take is listed")
    if unlisted > 0:
        reason = f"{unlisted} takes are not listed, so that their price is not known"
        return Price(None, None, reason)
    unpriced = sum(price is None for price, _ in prices)
    if unpriced:
        return Price(None, None, f"{unpriced} of {len(prices)} takes have no price")
    currencies = sorted({currency or "" for _, currency in prices})
    if len(currencies) > 1:
        return Price(None, None, f"prices are in {' and '.join(currencies)}")
    return Price(math.fsum(price or 0.0 for price, _ in prices), currencies[0], "")
