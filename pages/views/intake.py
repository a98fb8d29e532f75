"""What became of the files that somebody gave: how many were taken, which were not and why, all of it as a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import streamlit as st
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import UploadedFile

from core.logos.pictures import FORMATS
from core.logos.uploads import MAX_BYTES, MAX_FILES, Intake
from pages.views import downloads
from pages.views.text import plain

N_TOLD = 5  # refusals, one by one
UPLOAD_HELP = (
    f"Supported: {', '.join(sorted(set(FORMATS.values())))}, and ZIP files of them; what a file is is decided by its content. "
    f"At most {MAX_FILES:,} files and {MAX_BYTES // 2**20} MB at once."
)


def uploader_key(name: str) -> str:
    """The key of a file uploader; another one once :func:`drop_uploads` has emptied it."""
    return f"{name}.{st.session_state.get(f'{name}.emptied', 0)}"


def contents(files: Sequence[UploadedFile]) -> Iterator[tuple[str, bytes]]:
    """(name, content) of each upload, one at a time."""
    return ((file.name, file.getvalue()) for file in files)


def drop_uploads(name: str, files: Sequence[UploadedFile]) -> None:
    """Empty an uploader whose files lie on disk, and free the server's memory of them: Streamlit itself keeps them as long as the session."""
    st.session_state[f"{name}.emptied"] = st.session_state.get(f"{name}.emptied", 0) + 1
    context = get_script_run_ctx()
    if context is not None and isinstance(context.uploaded_file_mgr, MemoryUploadedFileManager):
        for file in files:
            context.uploaded_file_mgr.remove_file(context.session_id, file.file_id)


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
