"""Progress of the command line: on a terminal one line that is rewritten, else a line every few seconds; on stderr."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

_EVERY_S = {True: 0.2, False: 5.0}  # on a terminal, or into a file


class Progress:
    """Called with what is being done and how many of how many steps are done; adds an estimate of the time left."""

    def __init__(self, file: Path | None = None) -> None:
        """``file``: written as JSON too, five times a second at most, for whoever watches from elsewhere."""
        self._file = file
        self._written = 0.0
        self._is_terminal = sys.stderr.isatty()
        self._what = ""
        self._began = self._shown = 0.0
        self._is_at_end = False
        self._first = 0  # steps that were done before what is being done now

    def __call__(self, what: str, n_done: int, n_all: int) -> None:
        now = time.monotonic()
        is_new = what != self._what
        if is_new:
            self._what, self._began, self._first = what, now, n_done
        is_last = n_all > 0 and n_done >= n_all
        if self._file is not None and (is_new or is_last or now - self._written > _EVERY_S[True]):
            self._written = now
            n_new = n_done - self._first
            left_s = (now - self._began) / n_new * (n_all - n_done) if n_new > 0 else None
            told = {"what": what, "n_done": n_done, "n_all": n_all, "left_s": left_s}
            aside = self._file.with_suffix(".new")
            aside.write_text(json.dumps(told), encoding="utf-8")
            os.replace(aside, self._file)
        is_at_end, self._is_at_end = is_last and not self._is_at_end, is_last  # a log that is followed comes to its end again and again
        if not is_new and not is_at_end and now - self._shown < _EVERY_S[self._is_terminal]:
            return
        self._shown = now
        text = what
        if n_all:
            spent = now - self._began
            n_new = n_done - self._first
            left = spent / n_new * (n_all - n_done) if n_new > 0 else 0.0
            text += f" {n_done}/{n_all}" + (f", about {left:.0f} s left" if left >= 1 else "")
        end = "\n" if is_last or not self._is_terminal or not n_all else "\r"
        print(f"{text:<70}" if self._is_terminal else text, file=sys.stderr, end=end, flush=True)
