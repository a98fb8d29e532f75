"""Locks on files: one holder at a time, in one process and over several, and none left by a process that was killed."""

from __future__ import annotations

import threading

import pytest

from core.locks import held, take


def test_a_lock_has_one_holder_and_is_free_when_it_is_given_back(tmp_path):
    lock = take(tmp_path / "a.lock")
    assert lock is not None
    assert take(tmp_path / "a.lock") is None
    lock.release()
    again = take(tmp_path / "a.lock")
    assert again is not None
    again.release()


def test_another_thread_may_give_it_back(tmp_path):
    found = []
    thread = threading.Thread(target=lambda: found.append(take(tmp_path / "a.lock")))
    thread.start()
    thread.join()
    assert take(tmp_path / "a.lock") is None
    found[0].release()
    free = take(tmp_path / "a.lock")
    assert free is not None
    free.release()


def test_who_comes_second_is_refused_with_the_given_error(tmp_path):
    with (
        held(tmp_path / "a.lock", ValueError("first")),
        pytest.raises(ValueError, match="second"),
        held(tmp_path / "a.lock", ValueError("second"), 0.05),
    ):
        raise AssertionError("two hold it")


def test_no_folder_comes_back_with_its_lock(tmp_path):
    with pytest.raises(FileNotFoundError):
        take(tmp_path / "deleted run" / "trainer.lock")
    assert not (tmp_path / "deleted run").exists()
