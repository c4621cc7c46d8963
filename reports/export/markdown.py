"""Foreign text in Markdown: shown as it is, never read as markup, as HTML or as a link."""

from __future__ import annotations

import re
from typing import Final

_SIGNS: Final = re.compile(
    r"[\\`*_{}\[\]<>#|~$&!@]"  # what marks up, anywhere in a line
    r"|:(?=//)"  # what starts a bare address
    r"|(?<=www)\."
    r"|^[-+=](?![\d.])|(?<=^\d)[.)](?=\s)|(?<=^\d\d)[.)](?=\s)"  # a list, a line, a heading
    r"|[\r\n]",
    re.IGNORECASE,
)


def literal(value: object) -> str:
    r"""Return text with every sign that Markdown or HTML could read as its own as an entity.

    >>> literal("*a* <b> | http://x")
    '&#42;a&#42; &#60;b&#62; &#124; http&#58;//x'
    """
    return _SIGNS.sub(lambda found: f"&#{ord(found[0])};", str(value))
