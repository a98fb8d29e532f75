"""A report's file: a :class:`Document` as one HTML page that needs nothing else.

The page carries its own content security policy: nothing is fetched, and no script runs but the two that stand in it, known by
their digests. So a name, a note or an SVG can hold whatever it likes.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import time
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from core.names import download_name
from pages.views.reports.blocks import Curve, Document

MAX_BYTES = 8_000_000  # of a report
SNIPPET = "window.vegaEmbed = vegaEmbed;"  # all that draw.js needs
HERE = Path(__file__).parent
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; script-src {scripts}"


def to_html(document: Document, now: float | None = None) -> bytes:
    """The page, as UTF-8. ``now``: when it is made, in seconds since 1970."""
    has_curves = any(isinstance(block, Curve) for section in document.sections for block in section.blocks)
    bundle, script = (_bundle(), _own("draw.js")) if has_curves else ("", "")
    policy = POLICY.format(scripts=" ".join(map(_digest, (bundle, script))) if has_curves else "'none'")
    text = (
        _environment()
        .get_template("page.html")
        .render(
            document=document,
            made=time.strftime("%Y-%m-%d %H:%M", time.localtime(now)),
            policy=policy,
            style=Markup(_own("page.css")),
            bundle=Markup(bundle),
            script=Markup(script),
            has_curves=has_curves,
        )
    )
    return text.lstrip().encode("utf-8", errors="replace")


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["spec"] = _spec
    environment.filters["as_file"] = _as_file
    environment.filters["as_name"] = download_name
    return environment


def _own(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


@functools.cache
def _bundle() -> str:
    """Vega, Vega-Lite and what embeds them."""
    import altair
    import vl_convert

    version = ".".join(altair.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
    return str(vl_convert.javascript_bundle(SNIPPET, vl_version=version)).replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _digest(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _spec(spec: dict[str, Any]) -> Markup:
    """JSON inside a script: whatever text is in it can't end the script."""
    text = json.dumps(spec, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _as_file(text: str) -> str:
    return "data:text/plain;charset=utf-8;base64," + base64.b64encode(text.encode("utf-8", errors="replace")).decode()
