"""Files that somebody gives: where they are dropped, those that wait until something is done with them, and what became of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import streamlit as st
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import UploadedFile

from core.logos import waiting
from core.logos.pictures import FORMATS
from core.logos.uploads import MAX_BYTES, MAX_FILES, Intake
from core.logos.waiting import KEPT_S, Waiting
from pages.views import downloads
from pages.views.access import acts
from pages.views.buttons import button, locked
from pages.views.links import STAYS, write_address
from pages.views.text import bytes_text, plain
from pages.views.toasts import say

GIVEN = "given"  # of the address: the files that wait
N_NAMED = 40  # files that can be left out one by one
N_TOLD = 5  # refusals, one by one
UPLOAD_HELP = (
    f"Supported: {', '.join(sorted(set(FORMATS.values())))}, and ZIP files of them; what a file is is decided by its content. "
    f"At most {MAX_FILES:,} files and {MAX_BYTES // 2**20} MB at once."
)


def given_files(home: Path, name: str, label: str, help: str, is_one: bool = False) -> list[tuple[str, Path]]:
    """An uploader of this ``name``, and (what it is called, where it lies) of each file that was dropped there: on this machine's disk, and
    named by the address, so that a reload, a lost connection or a server that comes back finds them. ``is_one``: the last one alone counts.
    """
    key = uploader_key(name)
    st.file_uploader(
        label, accept_multiple_files=not is_one, key=key, on_change=_keep, args=(home, name, key, is_one), **locked("files.give", help=help)
    )
    if st.session_state[key]:  # Streamlit calls no callback where the browser lost its connection meanwhile and begins a new session
        _keep(home, name, key, is_one)
        if uploader_key(name) != key:
            st.rerun()
    found = waiting_files(home)
    files = found.files() if found is not None else []
    return _show_waiting(found, files) if found is not None and files else []


def done_with_given(home: Path) -> None:
    """What :func:`given_files` told was used, or is of no use."""
    found = waiting_files(home)
    if found is not None:
        found.drop()
    _forget()


def waiting_files(home: Path) -> Waiting | None:
    """Those that the address names. What somebody does in the moment in which they are taken still comes with the address of before; then those
    of this visit of the page, and the address names them again.
    """
    named = st.query_params.get(GIVEN)
    if named is None:
        named = st.session_state.get(STAYS, {}).get(GIVEN, "")
        if named:
            write_address(**{GIVEN: named})
    return waiting.find(home, named)


def _forget() -> None:
    st.session_state.get(STAYS, {}).pop(GIVEN, None)
    write_address(**{GIVEN: ""})


@acts("files.give")
def _keep(home: Path, name: str, key: str, is_one: bool) -> None:
    dropped = st.session_state[key]
    told_of = [dropped] if is_one and dropped else dropped or []
    fresh = here(told_of)
    if not fresh:
        if told_of and key == uploader_key(name):
            say("The files did not reach the console, or not this one. Choose them again.", ":material/error:")
            drop_uploads(name, [])
        return
    before = waiting_files(home)
    try:
        kept, refused = waiting.keep(home, contents(fresh), None if is_one else before)
    except OSError as error:
        say(plain(f"The files can't be kept: {error.strerror or error}. Free some disk space, and choose them again."), ":material/error:")
        drop_uploads(name, fresh)
        return
    for one in refused[:N_TOLD]:
        say(plain(f"{one} was left out: {MAX_FILES:,} files and {MAX_BYTES // 2**20} MB at once are allowed"), ":material/error:")
    st.session_state.setdefault(STAYS, {})[GIVEN] = kept.waiting_id
    drop_uploads(name, fresh)
    write_address(**{GIVEN: kept.waiting_id})  # last: where somebody did something else meanwhile, Streamlit goes no further


def _show_waiting(found: Waiting, files: list[tuple[str, Path]]) -> list[tuple[str, Path]]:
    """How many files wait, and a way to leave some out; returns those that stay."""
    n = len(files)
    told = f"{n:,} {'file' if n == 1 else 'files'} chosen, {bytes_text(found.n_bytes())}"
    about = f"They lie on the machine of this console until they are used; what nobody uses for {KEPT_S / 86_400:.0f} days is removed."
    if n > N_NAMED:
        first = ", ".join(name for name, _ in files[:N_TOLD])
        st.markdown(plain(f"{told}: {first} and {n - N_TOLD:,} more"), help=about)
        everything = [path for _, path in files]
        button("Choose others", icon=":material/close:", key="given.none", on_click=_leave_out, args=(found, "", everything))
        return files
    key = f"given.{found.waiting_id}.{n}.{files[-1][1].name}"
    paths = [path for _, path in files]
    stay = st.multiselect(
        told, list(range(n)), default=list(range(n)), format_func=lambda i: files[i][0], key=key, on_change=_leave_out,
        args=(found, key, paths), **locked("files.give", help=about),
    )  # fmt: skip
    return [files[i] for i in sorted(stay)]


@acts("files.give")
def _leave_out(found: Waiting, key: str, paths: Sequence[Path]) -> None:
    """``key``: of the widget that says which of ``paths`` stay; "" where none does."""
    stay = set(st.session_state[key]) if key else set()
    try:
        found.leave_out(path for i, path in enumerate(paths) if i not in stay)
    except OSError as error:
        say(plain(f"The files can't be removed: {error.strerror or error}."), ":material/error:")
        return
    if not found.files():
        _forget()


def uploader_key(name: str) -> str:
    """The key of a file uploader; another one once :func:`drop_uploads` has emptied it."""
    return f"{name}.{st.session_state.get(f'{name}.emptied', 0)}"


def contents(files: Sequence[UploadedFile]) -> Iterator[tuple[str, bytes]]:
    """(name, content) of each upload, one at a time."""
    return ((file.name, file.getvalue()) for file in files)


def here(files: Iterable[object]) -> list[UploadedFile]:
    """The uploads that the server still has: a browser that has not drawn the emptied field yet, or that had another server, tells of gone ones."""
    return [file for file in files if isinstance(file, UploadedFile)]


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
