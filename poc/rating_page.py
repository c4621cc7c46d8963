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

from poc.panel import Form, Pack, ShownClip
from poc.records import Prompt
from poc.vote_records import Question, Reason, Verdict

LANGUAGES = ("ja", "en")

ANSWERING_S = {Form.PAIRS: 22, Form.CLIPS: 10}
"""Seconds to answer four questions, or one with reasons, beside the watching; for the time that the
page announces."""

TITLES = {Form.PAIRS: "title", Form.CLIPS: "title_clips"}

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
    this pack already, see `poc.ballot`.

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
        "minutes": minutes(len(pack.tasks), clip_s, pack.form),
        "form": pack.form,
        "questions": [str(question) for question in Question],
        "verdicts": [str(verdict) for verdict in Verdict],
        "reasons": [str(reason) for reason in Reason],
        "texts": texts,
        "server": served,
        "trials": [
            {
                "id": task.trial_id,
                "prompt": legible(prompts[task.prompt_id].text),
                "prompt_ja": legible(prompts[task.prompt_id].text_ja),
                "sides": {name: _data_uri(media[shown]) for name, shown in task.sides.items()},
            }
            for task in pack.tasks
        ],
    }
    return Template(template("rating.html")).substitute(
        language=language,
        policy=html.escape(_policy(css, script, sends=served is not None)),
        title=html.escape(texts[language][TITLES[pack.form]]),
        css=css,
        script=script,
        data=_inert(data),
    )


def minutes(tasks: int, clip_s: float, form: Form = Form.PAIRS) -> int:
    """Return about how many minutes a pack takes, at least 1.

    >>> minutes(35, 2.0), minutes(35, 2.0, Form.CLIPS)
    (14, 7)
    """
    return max(1, math.ceil(tasks * (clip_s + ANSWERING_S[form]) / 60))


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
