"""What a validator would say of an HTML file: parse errors by the HTML standard, and what a parser alone does not see."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from justhtml import JustHTML

INLINE = {"p", "span", "b", "a", "h1", "h2", "h3", "figcaption", "summary", "pre", "li"}  # ours hold text, and no block beside
BLOCKS = {"p", "div", "table", "ul", "figure", "section", "h1", "h2", "h3", "pre", "details"}
PARENTS = {
    "li": {"ul", "ol"},
    "tr": {"thead", "tbody"},
    "td": {"tr"},
    "th": {"tr"},
    "thead": {"table"},
    "tbody": {"table"},
    "summary": {"details"},
}


SCRIPT = re.compile(r"(<script[^>]*>)(.*?)(</script>)", re.DOTALL | re.IGNORECASE)


def parsed(text: str) -> JustHTML:
    """What stands in a script is no markup; the parser takes a "</" in it for one."""
    return JustHTML(SCRIPT.sub(r"\1\3", text), sanitize=False, collect_errors=True)


def names_of(document: JustHTML, selector: str) -> list[Any]:
    return list(document.query(selector))


def problems(text: str) -> list[str]:
    """A line for each thing that is not as it should be; empty for a valid page."""
    document = parsed(text)
    found = [f"line {error.line}: {error.code}" for error in document.errors]
    nodes = names_of(document, "*")
    ids = Counter(node.attrs["id"] for node in nodes if "id" in node.attrs)
    found += [f"the id {name!r} is there {n} times" for name, n in ids.items() if n > 1]
    for node in nodes:
        name, attributes = str(node.name), node.attrs
        if name == "img" and not (attributes.get("alt") and attributes.get("src")):
            found.append(f"an image without a text or a source: {attributes}"[:200])
        if name == "a" and str(attributes.get("href", "")).startswith("#") and attributes["href"][1:] not in ids:
            found.append(f"a link to {attributes['href']}, which is not there")
        found += [
            f"{key} names {attributes[key]!r}, which is not there"
            for key in ("aria-labelledby",)
            if attributes.get(key, "") not in {"", *ids}
        ]
        if name in PARENTS and str(node.parent.name) not in PARENTS[name]:
            found.append(f"<{name}> in <{node.parent.name}>")
        if name in INLINE - {"li", "summary"} and any(str(child.name) in BLOCKS for child in node.children):
            found.append(f"a block in <{name}>")
        found += [f"an attribute that runs: {key} of <{name}>" for key in attributes if key.startswith("on")]
    found += ["a script begins a comment, which would swallow its end" for script in SCRIPT.findall(text) if "<!--" in script[1]]
    for name, n in (("title", 1), ("h1", 1), ("main", 1)):
        if len(names_of(document, name)) != n:
            found.append(f"{len(names_of(document, name))} of <{name}>")
    if not re.match(r"<!doctype html>\s*<html lang=", text, re.IGNORECASE):
        found.append("it does not begin with a doctype and a language")
    if re.search(r"<meta charset=", text[:1024], re.IGNORECASE) is None:
        found.append("its encoding does not stand in its first 1,024 bytes")
    return found


def sections(text: str) -> list[str]:
    """The titles of a report's sections."""
    return [" ".join(node.to_text().split()) for node in names_of(parsed(text), "h2")]
