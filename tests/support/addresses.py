"""Addresses of a server, one of every kind, with the least role that each takes; None: nobody gets it."""

from pages.server.registry import PAGES

ADDRESSES = {  # one of every kind that this server has: its own, Streamlit's, and what is nobody's
    "/": 0, "": 0, **{f"/{page.name}": 0 for page in PAGES}, "/static/js/index.js": 0, "/favicon.png": 0, "/api/start.js": 0,
    "/auth/login": 0, "/oauth2callback": 0, "/_stcore/health": 0, "/_stcore/host-config": 0, "/_stcore/stream": 0,
    "/api/health": 1, "/api/runs": 1, "/api/changes": 1, "/api/reports/x": 1, "/api/reports/x.pdf": 1, "/media/abc.png": 1, "/component/x/y.js": 1,
    "/_stcore/bidi-components/x.js": 1, "/app/static/x.html": 1, "/nothing-here": 1, "/static/../api/runs": 1, "/static//api/runs": 1,
    "/live/": 1, "/API/start.js": 1,
    "/_stcore/upload_file/session/file": 2, "/_stcore/upload_file/session/a..b": 2, "/_stcore/upload_file/session//b": 2, "/_stcore/metrics": 3,
    "/_stcore/agent/interact": None, "/_stcore/agent/mcp": None, "/_stcore/script-health-check": None,
}  # fmt: skip
