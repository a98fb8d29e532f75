"""The HTML document that every page starts from: Streamlit's own, with its one inline script replaced by ours.

Ours names the server's address. Without it a visitor who comes by a link to a page asks for that page's own server
first, which gives two errors in the browser's console and a tenth of a second of waiting; and the content security
policy, which allows no inline script, refuses Streamlit's. It also fixes what keeps screen readers out.
"""

from __future__ import annotations

import importlib.util
import re
from functools import cache
from pathlib import Path
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from streamlit import config

from pages.server.registry import HOME, PAGES

_PARTS = ("Html", "PageLink", "BidiComponent", "Selectbox")  # as Streamlit calls its modules
_CHART_PARTS = ("Multiselect", "Slider", "Popover", "Tabs", "ArrowVegaLiteChart", "loadVegaEmbed")
_IMPORT = re.compile(r"""(?:from|import)"\./([\w.~-]+\.js)\"""")
_INLINE = re.compile(r"<script>.*?</script>", re.DOTALL)
SIDEBAR = 220  # pixels
# Which of its own width and ours Streamlit takes is a matter of what comes first; one that a visitor has drawn is left alone.
_STYLE = f"""<style>
      @media (min-width: 768px) {{ [data-testid="stSidebar"][style*="width: 300px"] {{ width: {SIDEBAR}px !important; }} }}
    </style>"""
_START = """window.prerenderReady = false;
window.__streamlit = { BACKEND_BASE_URL: location.origin + "@PATH@/", MAIN_PAGE_BASE_URL: location.origin + "@PATH@/" };

// For screen readers: Streamlit puts a div between its list of pages and the items, and as links in a navigation they need
// no list; a chart is one picture with its title, since thousands of marks without names help nobody.
function plain() {
  document.querySelectorAll('[data-testid="stSidebarNav"] :is(ul, li):not([role])').forEach((e) => e.setAttribute("role", "none"));
  document.querySelectorAll('[data-testid="stVegaLiteChart"] svg.marks > g:not([aria-hidden])').forEach((e) => e.setAttribute("aria-hidden", "true"));
}
let due = 0;
new MutationObserver(() => { if (!due) due = requestAnimationFrame(() => { due = 0; plain(); }); })
  .observe(document.documentElement, { childList: true, subtree: true });
"""


@cache
def base_path() -> str:
    """What every address of the console begins with, "" or "/a/b": Streamlit's ``server.baseUrlPath``."""
    parts = str(config.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{quote(parts)}" if parts else ""


@cache
def document(has_charts: bool = False) -> str:
    """Streamlit's index.html with our start instead of its inline script, and with what pages are made of named at once:
    the browser loads it while the server still makes the page. ``has_charts``: also what draws charts."""
    found = importlib.util.find_spec("streamlit")
    assert found is not None
    assert found.origin is not None
    static = Path(found.origin).parent / "static"
    text = _INLINE.sub("", (static / "index.html").read_text(encoding="utf-8"))
    last = ""
    known = set(re.findall(r"static/js/([^\"]+)", text))
    for name in _modules(static / "static" / "js", _PARTS + (_CHART_PARTS if has_charts else ()), known):
        last += f'    <link rel="modulepreload" crossorigin fetchpriority="low" href="{base_path()}/static/js/{name}">\n'
    last += f"    {_STYLE}\n"
    text = text.replace("<head>", f'<head>\n    <script src="{base_path()}/api/start.js"></script>', 1).replace(
        "</head>", f"{last}  </head>", 1
    )
    return text.replace("<title>Streamlit</title>", "<title>Tracewright</title>")


def _modules(folder: Path, parts: tuple[str, ...], known: set[str]) -> list[str]:
    """The modules of these names with all that they import, less those that the document names itself."""
    found: list[str] = []
    due = [path.name for part in parts for path in folder.glob(f"{part}.*.js")]
    while due:
        name = due.pop()
        if name not in known and name not in found:
            found.append(name)
            due += _IMPORT.findall((folder / name).read_text(encoding="utf-8"))
    return found


async def index(request: Request) -> HTMLResponse:
    return HTMLResponse(
        document(any(page.has_charts and page.name == request.url.path.rstrip("/").rpartition("/")[2] for page in PAGES)),
        headers={"Cache-Control": "no-cache"},
    )


async def home(request: Request) -> RedirectResponse:
    """The home page by its name."""
    query = request.url.query
    return RedirectResponse(f"{base_path()}/" + (f"?{query}" if query else ""))


async def start(_request: Request) -> Response:
    return Response(_START.replace("@PATH@", base_path()), media_type="text/javascript", headers={"Cache-Control": "no-cache"})


def routes() -> list[Route]:
    """The home page, every page by its name, and the start script."""
    base = base_path()
    own = [Route(f"{base}/{page.name}", home if page.name == HOME else index) for page in PAGES]
    above = [Route(base, home)] if base else []
    return [Route(f"{base}/", index), *own, *above, Route(f"{base}/api/start.js", start)]
