"""The page that a rater gets: one HTML file that fetches nothing and tells no arm. Pure.

Its script and its style are allowed by digest, clips by `data:`, and nothing else, so that a prompt
that holds markup stays text, and no address is ever asked.
"""

from __future__ import annotations

import hashlib
import html
import json
import math
import unicodedata
from base64 import b64encode
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from string import Template
from typing import Any

from poc.panel import Pack, ShownClip
from poc.records import Prompt
from poc.vote_records import Question

LANGUAGES = ("ja", "en")

ANSWERING_S = 22
"""Seconds to answer four questions, beside the watching; for the time that the page announces."""

_TEMPLATES = Path(__file__).parent / "templates"
_KEPT_FORMATS = "\u200c\u200d"
"""Joiners that scripts need to be legible; they reorder nothing."""


@cache
def template(name: str) -> str:
    """Return a file that pages are made of."""
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def render(
    pack: Pack,
    media: Mapping[ShownClip, bytes],
    prompts: Mapping[str, Prompt],
    *,
    panel_id: str,
    language: str,
    clip_s: float,
    demonstration: bool,
    served: Mapping[str, Any] | None = None,
) -> str:
    """Return the page of one pack; equal arguments give equal bytes.

    `served` makes it the page of a server, to which it sends each answer: what the server knows of
    this pack already, see `poc.rating_server`.

    `media` holds the WebM of every side, `prompts` every prompt by its id; `clip_s` is how long a
    clip plays, in seconds. The page is shown in `language` first, ja or en.
    """
    texts = json.loads(template("rating.json"))
    css, script = template("rating.css"), template("rating.js")
    data = {
        "panel_id": panel_id,
        "pack_id": pack.pack_id,
        "pseudonym": pack.pseudonym,
        "language": language,
        "demonstration": demonstration,
        "minutes": minutes(len(pack.trials), clip_s),
        "questions": [str(question) for question in Question],
        "texts": texts,
        "server": served,
        "trials": [
            {
                "id": trial.trial_id,
                "prompt": legible(prompts[trial.prompt_id].text),
                "prompt_ja": legible(prompts[trial.prompt_id].text_ja),
                "left": _data_uri(media[trial.left]),
                "right": _data_uri(media[trial.right]),
            }
            for trial in pack.trials
        ],
    }
    return Template(template("rating.html")).substitute(
        language=language,
        policy=html.escape(_policy(css, script, sends=served is not None)),
        title=html.escape(texts[language]["title"]),
        css=css,
        script=script,
        data=_inert(data),
    )


def minutes(trials: int, clip_s: float) -> int:
    """Return about how many minutes a pack takes, at least 1.

    >>> minutes(35, 2.0)
    14
    """
    return max(1, math.ceil(trials * (clip_s + ANSWERING_S) / 60))


def legible(text: str) -> str:
    r"""Return foreign text without what steers or reorders letters; line ends become spaces.

    >>> legible("a\u202eb\nc")
    'a�b c'
    """
    return " ".join("".join(map(_legible_letter, text)).split())


def _legible_letter(letter: str) -> str:
    if letter in "\n\r\t\v\f\x85\u2028\u2029":
        return " "
    hidden = unicodedata.category(letter) in {"Cc", "Cf", "Cs", "Co", "Cn"}
    return "\ufffd" if hidden and letter not in _KEPT_FORMATS else letter


def _inert(data: Any) -> str:
    """Return JSON that cannot end the script element it stands in."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _data_uri(data: bytes) -> str:
    return f"data:video/webm;base64,{b64encode(data).decode()}"


def _policy(css: str, script: str, *, sends: bool) -> str:
    style_digest, script_digest = (
        b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (css, script)
    )
    return (
        f"default-src 'none'; script-src 'sha256-{script_digest}'; "
        f"style-src 'sha256-{style_digest}'; media-src data:; base-uri 'none'; form-action 'none'"
        + ("; connect-src 'self'" if sends else "")
    )
