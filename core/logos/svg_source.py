"""Users' SVGs before they are drawn or kept: read without entities or network, and written again with what draws, and with nothing else.

Scripts, event handlers, HTML, animations, links and whatever refers to anything outside the file are left out, and a note says so. What
would look different without saying so (live text, patterns) is refused with what to do. Guarantee: the result holds no element,
attribute or reference but those listed here, so that what our rasterizer and a browser read is what was looked at.
"""

from __future__ import annotations

import base64
import binascii
import io
import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from xml.parsers import expat
from xml.sax.saxutils import quoteattr  # nosec B406

from PIL import Image, UnidentifiedImageError

from core.errors import PictureError
from core.logos.css import clean_declarations, clean_sheet, refers_outside

MAX_BYTES = 20_000_000  # unpacked
MAX_ELEMENTS, MAX_DEPTH = 100_000, 200
MAX_DRAWN = 200_000  # elements, those that <use> repeats counted each time
MAX_EMBEDDED_PIXELS = 16_000_000  # of all pictures inside it together

_SVG, _XLINK, _XML = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink", "http://www.w3.org/XML/1998/namespace"
_DRAWN = frozenset((
    "svg", "g", "defs", "symbol", "use", "path", "rect", "circle", "ellipse", "line", "polyline", "polygon", "linearGradient", "radialGradient",
    "stop", "clipPath", "mask", "marker", "filter", "image", "style", "switch", "a", "text", "tspan", "pattern",
))  # fmt: skip
_OPENED = ("a", "switch")  # their content is drawn, they are not
# element -> what to do about it
_NOT_DRAWN = {
    "text": "it has live text, which looks different without its typeface; turn text into paths (in Inkscape: Path > Object to Path)",
    "pattern": "it has pattern fills, which are not drawn; expand them into paths, or export it as PNG",
}
_SILENT = ("title", "desc", "metadata")  # nobody sees them
_TOLD = {"script": "a script", "handler": "a script", "listener": "a script", "foreignObject": "HTML (foreignObject)"}
_MOVES = frozenset(("animate", "set", "animateMotion", "animateTransform", "animateColor", "discard", "mpath"))
_OUTSIDE = "a reference to another file"
_FREE = ("id", "class", "d", "points")  # hold no reference, whatever is in them
_BLANKS = re.compile(r"[\t\r\n]")  # readers of ours know no numbers of characters
_DATA = re.compile(r"data:image/(?:png|jpe?g);base64,", re.IGNORECASE)


@dataclass(frozen=True)
class Cleaned:
    """An SVG as it is drawn and kept, and what was left out of it."""

    svg: bytes
    notes: tuple[str, ...]


def cleaned_svg(data: bytes) -> Cleaned:
    """An SVG with what draws, and nothing else.

    Raises:
        PictureError: it is no well-formed XML, its root is no <svg>, it declares entities, is larger or deeper than the limits, or has what
            would not be drawn.
    """
    if len(data) > MAX_BYTES:
        raise PictureError(f"an SVG of {len(data):,} bytes; the limit is {MAX_BYTES:,}")
    reader = _Reader()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = reader.start, reader.end
    parser.CharacterDataHandler, parser.ProcessingInstructionHandler = reader.characters, reader.instruction
    parser.EntityDeclHandler = _entity
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise PictureError(f"not a well-formed SVG: {error}") from error
    except (LookupError, ValueError) as error:
        if isinstance(error, PictureError):
            raise
        raise PictureError(f"not a well-formed SVG: {str(error)[:100]}") from error
    for name, what in _NOT_DRAWN.items():
        if name in reader.seen:
            raise PictureError(what)
    reader.check_repeats()
    notes = (f"left out: {', '.join(sorted(reader.left_out))}",) if reader.left_out else ()
    return Cleaned("".join(reader.out).encode("utf-8", errors="replace"), notes)


def _entity(*_: object) -> None:
    raise PictureError("it declares entities, which are not read; save it as plain SVG")


@dataclass
class _Reader:
    """Writes the SVG again while it is read."""

    out: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    left_out: set[str] = field(default_factory=set)
    open: list[str] = field(default_factory=list)  # elements by their local names, "" for one that is not written
    style: list[str] = field(default_factory=list)
    n_elements: int = 0
    n_pixels: int = 0
    n_silent: int = 0  # how many open elements are left out with their content
    starts: list[tuple[int, str]] = field(default_factory=list)  # of open elements: place and id
    parts: dict[str, tuple[int, int]] = field(default_factory=dict)  # {id: where it begins and ends}
    uses: list[tuple[int, str]] = field(default_factory=list)  # (place, id of what is repeated)

    def start(self, name: str, given: dict[str, str]) -> None:
        space, _, local = name.rpartition(" ")
        if not self.n_elements and local != "svg":
            raise PictureError(f"its root is <{local[:40]}>, not <svg>")
        self.n_elements += 1
        if self.n_elements > MAX_ELEMENTS:
            raise PictureError(f"it has more than {MAX_ELEMENTS:,} elements, which is the limit")
        if len(self.open) >= MAX_DEPTH:
            raise PictureError(f"its elements are nested more than {MAX_DEPTH} deep, which is the limit")
        self.starts.append((self.n_elements, given.get("id", "")))
        is_ours = space in ("", _SVG) and (local in _DRAWN or local.startswith("fe"))
        if self.n_silent or not is_ours:
            if not self.n_silent and space in ("", _SVG) and local not in _SILENT:
                self.left_out.add(_TOLD.get(local) or ("an animation" if local in _MOVES else f"<{local[:30]}>"))
            self.n_silent += 1
            self.open.append("")
            return
        if local == "pattern":
            self.seen.add(local)
        is_written = local not in _OPENED
        attributes = self._attributes(local, given) if is_written else {}
        if local == "image" and not any(key.endswith("href") for key in attributes):
            is_written = False  # it showed what is elsewhere
        if local == "use":
            self.uses.append((self.n_elements, next((v[1:] for k, v in attributes.items() if k.endswith("href")), "")))
        self.open.append(local if is_written else "-")
        if is_written and local != "style":
            told = "".join(f" {key}={quoteattr(value)}" for key, value in attributes.items())
            root = f' xmlns="{_SVG}" xmlns:xlink="{_XLINK}"' if len(self.open) == 1 else ""
            self.out.append(f"<{local}{root}{told}>")

    def end(self, name: str) -> None:
        at, identity = self.starts.pop()
        first, last = self.parts.get(identity, (0, -1))
        if identity and self.n_elements - at > last - first:  # of two of one name the larger
            self.parts[identity] = (at, self.n_elements)
        written = self.open.pop()
        if not written:
            self.n_silent -= 1
        elif written == "style":
            sheet, is_whole = clean_sheet("".join(self.style))
            self.style.clear()
            if not is_whole:
                self.left_out.add("a style that loads or does more than draw")
            if sheet:
                self.out.append(f"<style>{sheet}</style>")
        elif written != "-":
            self.out.append(f"</{written}>")

    def characters(self, found: str) -> None:
        if self.n_silent or not self.open:
            return
        if self.open[-1] == "style":
            self.style.append(found)
        elif found.strip() and any(name in ("text", "tspan") for name in self.open):
            self.seen.add("text")

    def instruction(self, *_: object) -> None:
        self.left_out.add("a processing instruction")

    def _attributes(self, element: str, given: dict[str, str]) -> dict[str, str]:
        kept = {}
        for name, value in given.items():
            space, _, local = name.rpartition(" ")
            if space not in ("", _XLINK, _XML):
                continue  # an editor's own
            if local.lower().startswith("on"):
                self.left_out.add("an event handler")
            elif local == "href":
                if element in ("use", "image") or "radient" in element or element.startswith("fe"):
                    if self._may_refer(element, value.strip()):
                        kept["xlink:href" if space else "href"] = value.strip()
                    else:
                        self.left_out.add(_OUTSIDE)
            elif space == _XLINK or (space == _XML and local != "space") or local in ("src", "data", "action", "formaction"):
                continue
            elif local == "style":
                kept["style"], is_whole = clean_declarations(value)
                if not is_whole:
                    self.left_out.add(_OUTSIDE)
            elif local not in _FREE and refers_outside(value):
                self.left_out.add(_OUTSIDE)
            else:
                kept["xml:space" if space else local] = _BLANKS.sub(" ", value)
        return kept

    def _may_refer(self, element: str, value: str) -> bool:
        return value.startswith("#") or (element in ("image", "feImage") and self._is_small_picture(value))

    def _is_small_picture(self, value: str) -> bool:
        """Whether it is a PNG or JPEG written out in full, not larger than what may be decoded."""
        found = _DATA.match(value)
        if not found:
            return False
        try:
            data = base64.b64decode(value[found.end() :])
            with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as image:
                self.n_pixels += image.width * image.height
        except (binascii.Error, ValueError, OSError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError):
            return False
        if self.n_pixels > MAX_EMBEDDED_PIXELS:
            raise PictureError(f"the pictures inside it have more than {MAX_EMBEDDED_PIXELS:,} pixels, which is the limit")
        return True

    def check_repeats(self) -> None:
        """Refuse what <use> repeats without end, or so often that it takes for ever to draw."""
        known: dict[str, int] = {}
        begun: set[str] = set()
        places = [place for place, _ in self.uses]

        def size(part: str) -> int:
            if part in known:
                return known[part]
            if part not in self.parts:
                return 0
            if part in begun or len(begun) > MAX_DEPTH:
                raise PictureError("it repeats a part of itself within itself (use)")
            begun.add(part)
            first, last = self.parts[part]
            inside = self.uses[bisect_left(places, first) : bisect_right(places, last)]
            total = last - first + 1 + sum(size(of) for _, of in inside)
            begun.discard(part)
            known[part] = total
            return total

        if self.n_elements + sum(size(of) for _, of in self.uses) > MAX_DRAWN:
            raise PictureError(f"with what it repeats (use) it has more than {MAX_DRAWN:,} elements, which is the limit")
