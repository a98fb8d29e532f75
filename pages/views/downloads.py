"""What pages give away as files: the one button for it, under a name that does nothing but name."""

from __future__ import annotations

from typing import Any

import streamlit as st

from core.names import download_name


def button(label: str, data: Any, file_name: str, mime: str, **more: Any) -> None:
    """A download button that does not run the page again; ``data``: bytes or text, or what makes them; ``more``: as Streamlit's has it."""
    st.download_button(label, data, download_name(file_name), mime, on_click="ignore", **more)
