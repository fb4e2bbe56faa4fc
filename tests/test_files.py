"""Files and folders are written whole or not at all."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from keras_prune_kit._tools.files import (
    check_writable_folder,
    replacing,
    replacing_folder,
    scratch_folder,
)


def write_two(folder):
    (folder / "a").write_text("new")
    (folder / "b").write_text("new")


def contents(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


@pytest.fixture
def full(tmp_path):
    folder = tmp_path / "full"
    folder.mkdir()
    for name in ("a", "mine"):
        (folder / name).write_text("old")
    return folder


def test_a_new_folder_comes_with_all_its_files(tmp_path):
    target = tmp_path / "some" / "where"
    with replacing_folder(target) as part:
        write_two(part)
        assert not target.exists()
    assert contents(target) == {"a": "new", "b": "new"}
    assert os.listdir(tmp_path / "some") == ["where"]


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "empty").mkdir()
    with replacing_folder(tmp_path / "empty") as part:
        write_two(part)
    assert contents(tmp_path / "empty") == {"a": "new", "b": "new"}


def test_files_of_the_same_names_are_replaced(full):
    with replacing_folder(full) as part:
        write_two(part)
        assert (full / "a").read_text() == "old"
    assert contents(full) == {"a": "new", "b": "new", "mine": "old"}


def test_a_folder_that_another_process_makes_meanwhile_is_filled(tmp_path):
    with replacing_folder(tmp_path / "new") as part:
        write_two(part)
        (tmp_path / "new").mkdir()
        for name in ("a", "theirs"):
            (tmp_path / "new" / name).write_text("old")
    expected = {"a": "new", "b": "new", "theirs": "old"}
    assert contents(tmp_path / "new") == expected
    assert os.listdir(tmp_path) == ["new"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError, SystemExit])
def test_after_an_error_all_is_as_it_was(full, tmp_path, error):
    for target in (full, tmp_path / "new"):
        with pytest.raises(error), replacing_folder(target) as part:
            write_two(part)
            raise error
    assert contents(full) == {"a": "old", "mine": "old"}
    assert os.listdir(tmp_path) == ["full"]


def test_ctrl_c_while_files_move_waits_for_the_last(full, monkeypatch):
    move = os.replace

    def interrupted(*paths):
        signal.raise_signal(signal.SIGINT)
        move(*paths)

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt), replacing_folder(full) as part:
        write_two(part)
    assert contents(full) == {"a": "new", "b": "new", "mine": "old"}


def test_a_file_in_the_way(tmp_path):
    (tmp_path / "file").write_text("mine")
    for target in (tmp_path / "file", tmp_path / "file" / "inside"):
        with pytest.raises(NotADirectoryError, match="file is a file"):
            check_writable_folder(target)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs a folder that root has")
def test_where_nothing_can_be_written_is_found_at_once():
    with pytest.raises(PermissionError, match="/proc"):
        check_writable_folder("/proc/new/folder")
    with pytest.raises(PermissionError, match="/proc"), replacing("/proc/file"):
        pass


KILLED = """
import os, signal, sys
from keras_prune_kit._tools.files import scratch_folder
with scratch_folder(sys.argv[1]) as folder:
    (folder / "half").write_text("of it")
    print(flush=True)
    sys.stdin.readline()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_what_a_killed_process_left_goes_with_the_next_one(tmp_path):
    other = subprocess.Popen(
        [sys.executable, "-c", KILLED, tmp_path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    other.stdout.readline()
    (left,) = tmp_path.iterdir()
    with scratch_folder(tmp_path) as ours:
        assert set(tmp_path.iterdir()) == {left, ours}  # The other one is at work.
    assert (left / "half").exists()
    other.communicate("die\n")
    assert left.exists()
    with scratch_folder(tmp_path) as ours:
        assert list(tmp_path.iterdir()) == [ours]
    assert not any(tmp_path.iterdir())


def test_scratch_folders_are_private(tmp_path):
    with scratch_folder(tmp_path) as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_folder_is_replaced_by_one_of_its_name(full):
    (full / "saved_model").mkdir()
    (full / "saved_model" / "old").write_text("old")
    with replacing_folder(full) as part:
        (part / "saved_model").mkdir()
        (part / "saved_model" / "new").write_text("new")
    assert os.listdir(full / "saved_model") == ["new"]
