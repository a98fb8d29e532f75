"""A Ray cluster on the pages: a form on System that tests a connection and shows the nodes, and a field for forms whose work can be done on one.

Needs no Ray in this process: commands use it.
"""

from __future__ import annotations

import contextlib
from importlib.util import find_spec
from typing import Any

import streamlit as st

from core.paths import how_to_install
from core.scheduling import known_cluster
from core.scheduling.probe import ask
from pages.server import service
from pages.views.access import acts, may
from pages.views.buttons import submit_button
from pages.views.text import plain

COLUMNS = {
    "node": "Node", "cpus": "CPUs", "cpus_reserved": "CPUs reserved", "load": "Load (1 min)", "memory_free_mb": "Free memory (MB)",
}  # fmt: skip
ADDRESS_HELP = (
    "HOST:PORT of the cluster's head, or auto for the cluster that this machine has joined. The token is read from RAY_AUTH_TOKEN,"
    " RAY_AUTH_TOKEN_PATH or ~/.ray/auth_token."
)


@acts("cluster.test", is_drawn=True)
def test(address: str) -> None:
    """Ask an address, which learns the cluster's token, and keep the answer."""
    with st.spinner("Asking the cluster …"):
        told = ask(address)
    st.session_state["cluster.told"] = told
    if not isinstance(told, str):
        with contextlib.suppress(OSError):  # without it, forms begin with another address
            known_cluster.remember(service.console().home, address)


def show(told: dict[str, Any] | str) -> None:
    """The answer of :func:`ask`."""
    if isinstance(told, str):
        st.error("  \n".join(plain(line.strip()) for line in told.splitlines()))
        return
    n, n_nodes = told["n_workers"], len(told["nodes"])
    connected = f"Connected to {n_nodes} node{'s'[: n_nodes != 1]} with the same versions as here"
    if n:
        st.success(f"{connected}; {n} worker{'s'[: n != 1]} of one CPU can start now.")
    else:
        st.warning(f"{connected}, but no node has a free CPU: add nodes, or wait until a run ends.")
    rows = [{label: row[key] for key, label in COLUMNS.items()} for row in told["nodes"]]
    st.dataframe(rows, hide_index=True)


def _has_ray() -> bool:
    """Whether Ray is installed; says how to get it where it is not."""
    if find_spec("ray") is not None:
        return True
    st.info(f"Ray is optional and not installed. To use a cluster: `{how_to_install('ray')}`, then restart the console.")
    return False


def field() -> str:
    """In a form whose work can be done on a cluster: its address, "" for this machine. It decides where the token goes, so only those who may
    test a connection have it."""
    if not may("cluster.test"):
        return ""
    with st.expander("Ray cluster", icon=":material/hub:"):
        if not _has_ray():
            return ""
        is_wanted = st.toggle(
            "Convert on a Ray cluster", key="cluster.wanted", help="The pictures are sent to its nodes; the results are written here."
        )
        if not is_wanted:
            return ""
        known = known_cluster.remembered(service.console().home)
        address = st.text_input("Address", known, key="cluster.address", max_chars=200, help=ADDRESS_HELP)
        return address.strip() or known_cluster.JOINED


def panel() -> None:
    """The form, and the latest answer."""
    with st.expander("Ray cluster", icon=":material/hub:"):
        st.caption(
            "Runs whose setting workers.backend is ray convert on the nodes of a cluster, and so can Optimize. Their forms begin with the address"
            " that a test here reached last."
        )
        if not _has_ray():
            return
        with st.form("cluster", border=False):
            address = st.text_input(
                "Address",
                value=known_cluster.remembered(service.console().home),
                max_chars=200,
                help=ADDRESS_HELP,
            )
            if submit_button("Test connection", does="cluster.test", icon=":material/network_check:"):
                test(address.strip() or "auto")
        if "cluster.told" in st.session_state:
            show(st.session_state["cluster.told"])
