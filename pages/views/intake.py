"""What became of the files that somebody gave: how many were taken, which were not and why, all of it as a file."""

from __future__ import annotations

import streamlit as st

from core.logos.pictures import FORMATS
from core.logos.uploads import MAX_BYTES, MAX_FILES, Intake
from pages.views import downloads
from pages.views.text import plain

N_TOLD = 5  # refusals, one by one
UPLOAD_HELP = (
    f"Supported: {', '.join(sorted(set(FORMATS.values())))}, and ZIP files of them; what a file is is decided by its content. "
    f"At most {MAX_FILES:,} files and {MAX_BYTES // 2**20} MB at once."
)


def show_intake(intake: Intake, key: str) -> None:
    """Say what became of the files; nothing where each was taken as it is."""
    noted = [item for item in intake.taken if item.note]
    if not intake.refused and not noted:
        return
    n_taken, n_refused = len(intake.taken), len(intake.refused)
    lines = [f"**{n_taken:,} {'file' if n_taken == 1 else 'files'} taken, {n_refused:,} refused.**"]
    lines += [f"{plain(item.given)}: {plain(item.reason)}" for item in intake.refused[:N_TOLD]]
    if n_refused > N_TOLD:
        lines.append(f"and {n_refused - N_TOLD:,} more, in the list")
    lines += [f"{plain(item.given)} was taken; {plain(item.note)}" for item in noted[:N_TOLD]]
    if len(noted) > N_TOLD:
        lines.append(f"and {len(noted) - N_TOLD:,} more with something left out, in the list")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.warning("  \n".join(lines), icon=":material/rule:")
        downloads.button("All files, CSV", intake.as_csv(), "uploads.csv", "text/csv", icon=":material/download:", key=f"intake.{key}")
