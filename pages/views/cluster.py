"""The Ray cluster on the System page: a form that tests a connection and shows the nodes. Needs no Ray in this process: a command asks."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import streamlit as st

from core.paths import how_to_install
from core.scheduling.probe import ask
from pages.views.access import acts
from pages.views.buttons import submit_button
from pages.views.text import plain

COLUMNS = {
    "node": "Node", "cpus": "CPUs", "cpus_reserved": "CPUs reserved", "load": "Load (1 min)", "memory_free_mb": "Free memory (MB)",
}  # fmt: skip


@acts("cluster.test", is_drawn=True)
def test(address: str) -> None:
    """Ask an address, which learns the cluster's token, and keep the answer."""
    with st.spinner("Asking the cluster …"):
        st.session_state["cluster.told"] = ask(address)


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


def panel() -> None:
    """The form, and the latest answer."""
    with st.expander("Ray cluster", icon=":material/hub:"):
        st.caption(
            "Runs whose setting workers.backend is ray convert on the nodes of a cluster. Test a connection here before starting one."
        )
        if find_spec("ray") is None:
            st.info(f"Ray is optional and not installed. To use a cluster: `{how_to_install('ray')}`, then restart the console.")
            return
        with st.form("cluster", border=False):
            address = st.text_input(
                "Address",
                value="auto",
                max_chars=200,
                help="HOST:PORT of the cluster's head, or auto for the cluster that this machine has joined. The token is read from"
                " RAY_AUTH_TOKEN, RAY_AUTH_TOKEN_PATH or ~/.ray/auth_token.",
            )
            if submit_button("Test connection", does="cluster.test", icon=":material/network_check:"):
                test(address.strip() or "auto")
        if "cluster.told" in st.session_state:
            show(st.session_state["cluster.told"])
