"""Where a clip comes from, written into the copy that leaves the run: for machines to read.

Only copies carry it, made after everything was measured; what was measured stays as it is. The word
for the kind of source is IPTC's (https://cv.iptc.org/newscodes/digitalsourcetype/), which C2PA uses
too. Nothing is signed: a mark says what we say, and can be taken off.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from xml.sax.saxutils import quoteattr

from poc.records import Arm, Plan

GENERATED: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
"""IPTC: made by a model that learnt from sampled content."""

_XMP: Final = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" '
    'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"{attributes}/>'
    "</rdf:RDF></x:xmpmeta><?xpacket end='r'?>"
)


def origin(plan: Plan, arm: Arm, clip_id: str, *, plan_digest: str) -> dict[str, str]:
    """Return what is said of a clip; of one that was made elsewhere, no kind of source is claimed.

    `plan_digest` is the plan's own: of a large plan it takes long, and every clip wants it.

    >>> GENERATED.rpartition("/")[2]
    'trainedAlgorithmicMedia'
    """
    kind = {} if arm.is_imported else {"digital_source_type": GENERATED}
    made = {"clip": clip_id, "arm": arm.id, "plan": plan_digest, "kind": plan.spec.kind}
    return kind | made | {"models": " ".join(sorted(arm.model_digests))}


def xmp(said: Mapping[str, str]) -> bytes:
    """Return the origin as an XMP packet, for pictures."""
    about = json.dumps(dict(said), ensure_ascii=False, sort_keys=True)
    kind = said.get("digital_source_type")
    named = {"dc:source": about} | ({"Iptc4xmpExt:DigitalSourceType": kind} if kind else {})
    attributes = "".join(f" {name}={quoteattr(value)}" for name, value in named.items())
    return _XMP.format(attributes=attributes).encode()


def marked_film(path: Path, said: Mapping[str, str]) -> bytes:
    """Return a viewing copy with the origin in its comment; packets are copied, not encoded anew.

    Raises:
        OSError: the file cannot be read as a film.
    """
    import av

    buffer = io.BytesIO()
    try:
        with (
            av.open(str(path)) as source,
            av.open(
                buffer,
                mode="w",
                format=path.suffix[1:],
                container_options={"fflags": "+bitexact"},
            ) as target,
        ):
            film = source.streams.video[0]
            copied = target.add_stream_from_template(film)
            target.metadata["comment"] = json.dumps(dict(said), ensure_ascii=False, sort_keys=True)
            for packet in source.demux(film):
                if packet.dts is not None:
                    packet.stream = copied
                    target.mux(packet)
    except (av.FFmpegError, IndexError) as error:
        raise OSError(f"{path}: cannot be read as a film ({error})") from error
    return buffer.getvalue()
