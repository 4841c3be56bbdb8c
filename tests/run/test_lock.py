import threading

import pytest

from spct.errors import RunError
from spct.run.lock import LOCK, DirectoryLock, is_held


def test_a_lock_is_seen_by_those_who_do_not_want_it(tmp_path):
    assert is_held(tmp_path) is False
    assert list(tmp_path.iterdir()) == []
    lock = DirectoryLock(tmp_path)
    assert is_held(tmp_path) is True
    with pytest.raises(RunError, match="is in use by another process"):
        DirectoryLock(tmp_path)
    lock.close()
    assert is_held(tmp_path) is False


def test_asking_keeps_nobody_from_writing(tmp_path):
    DirectoryLock(tmp_path).close()
    done = threading.Event()

    def ask():
        while not done.wait(0.001):
            is_held(tmp_path)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for _ in range(50):
            DirectoryLock(tmp_path).close()
    finally:
        done.set()
        asking.join()


def test_of_a_link_in_the_locks_place_nothing_is_said(tmp_path):
    (tmp_path / "other").write_bytes(b"")
    (tmp_path / LOCK).symlink_to(tmp_path / "other")
    assert is_held(tmp_path) is None
