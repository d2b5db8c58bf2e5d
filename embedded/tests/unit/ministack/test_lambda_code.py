"""Code and layers are unpacked once."""

import shutil
from pathlib import Path
from zipfile import ZipFile

import pytest

from embedded_aws.ministack import lambda_code
from embedded_aws.ministack.lambda_code import LinkedZipFile


def archive(path: Path, text: str) -> Path:
    with ZipFile(path, "w") as files:
        files.writestr("package/module.py", text)
    return path


def unpacked(path: Path, into: Path) -> Path:
    with LinkedZipFile(str(path)) as files:
        files.extractall(into)
    return into / "package/module.py"


def test_the_same_code_is_unpacked_once_and_outlives_a_folder_that_it_is_linked_to(
    tmp_path: Path,
) -> None:
    first = unpacked(archive(tmp_path / "one.zip", "same = 1"), tmp_path / "first")
    second = unpacked(archive(tmp_path / "two.zip", "same = 1"), tmp_path / "second")
    assert first.samefile(second)
    shutil.rmtree(tmp_path / "first")
    third = unpacked(tmp_path / "one.zip", tmp_path / "third")
    assert (second.read_text(), third.read_text()) == ("same = 1", "same = 1")


def test_code_that_was_changed_is_unpacked_anew(tmp_path: Path) -> None:
    first = unpacked(archive(tmp_path / "code.zip", "changed = 1"), tmp_path / "first")
    second = unpacked(archive(tmp_path / "code.zip", "changed = 2"), tmp_path / "second")
    assert (first.read_text(), second.read_text()) == ("changed = 1", "changed = 2")


def test_what_was_unpacked_first_makes_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lambda_code, "MAX_ARCHIVES", 2)
    for number in range(4):
        file = archive(tmp_path / f"{number}.zip", f"room = {number}")
        assert unpacked(file, tmp_path / str(number)).read_text() == f"room = {number}"
    assert len(lambda_code._folders) == 2
    assert (tmp_path / "0/package/module.py").read_text() == "room = 0"
