"""Users' SVGs before they are drawn: what our rasterizer would leave out is refused with what to do, not left out in silence."""

from __future__ import annotations

import re
from xml.parsers import expat

from core.errors import PictureError
from core.tracing.raster import without_references

# element -> what to do about it
_NOT_DRAWN = {
    "text": "it has live text, which looks different without its typeface; turn text into paths (in Inkscape: Path > Object to Path)",
    "foreignObject": "it contains HTML (foreignObject), which is not drawn; export it as PNG instead",
    "pattern": "it has pattern fills, which are not drawn; expand them into paths, or export it as PNG",
    "script": "it has a script, which is never run; save it without, or export it as PNG",
}
_EXTERNAL = re.compile(r"^(?!#|data:)", re.IGNORECASE)


def checked_svg(data: bytes) -> bytes:
    """The SVG without references to anything outside itself.

    Raises:
        PictureError: it is no well-formed XML, its root is no <svg>, it declares entities, or it has what would not be drawn.
    """
    seen: dict[str, None] = {}
    open_texts, has_text = [0], [False]
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)

    def start(name: str, attributes: dict[str, str]) -> None:
        local = name.rsplit(" ", 1)[-1]
        if not seen and local != "svg":
            raise PictureError(f"its root is <{local}>, not <svg>")
        seen[local] = None
        open_texts[0] += local == "text"
        if local == "image":
            href = next((value for key, value in attributes.items() if key.rsplit(" ", 1)[-1] == "href"), "")
            if _EXTERNAL.match(href.strip()):
                raise PictureError("it refers to another file (image), which is not loaded; embed it, or export it as PNG")

    def end(name: str) -> None:
        open_texts[0] -= name.rsplit(" ", 1)[-1] == "text"

    def characters(found: str) -> None:
        has_text[0] |= bool(open_texts[0] and found.strip())

    def entity(*_: object) -> None:
        raise PictureError("it declares entities, which are not read; save it as plain SVG")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = characters
    parser.EntityDeclHandler = entity
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise PictureError(f"not a well-formed SVG: {error}") from error
    for name in seen:
        if name in _NOT_DRAWN and (name != "text" or has_text[0]):
            raise PictureError(_NOT_DRAWN[name])
    return without_references(data)
