"""What made a result: commit and changes, the machine, the bytes of a file."""

import subprocess
from pathlib import Path

import pytest

from dfd import provenance


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package in a checkout of its own, with one commit."""
    folder = tmp_path / "repo" / "package"
    folder.mkdir(parents=True)
    (folder / "code.py").write_text("answer = 41\n")
    (tmp_path / "repo" / ".gitignore").write_text("*.log\n")
    git(tmp_path / "repo", "init", "--quiet")
    git(tmp_path / "repo", "add", ".")
    git(tmp_path / "repo", "-c", "user.name=A", "-c", "user.email=a@b.c", "commit", "--quiet", "-m", "first")
    provenance.commit.cache_clear()
    return folder


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(folder), *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


def test_a_clean_checkout_is_its_commit(package: Path) -> None:
    (package / "made.log").write_text("ignored")
    (package.parent / "notes.txt").write_text("outside of the package, and not known to git")
    found = provenance.commit(package)
    assert (found.hash, found.dirty, found.diff) == (git(package, "rev-parse", "HEAD"), False, "")


def test_changes_and_new_files_of_the_package_are_kept_as_a_patch(package: Path, tmp_path: Path) -> None:
    (package / "code.py").write_text("answer = 42\n")
    (package / "näw file.py").write_text("from package import code\n")
    found = provenance.commit(package)
    assert found.dirty
    patch = tmp_path / "changes.diff"
    patch.write_text(found.diff)
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(package.parent), str(clone))
    assert "+answer = 42" in found.diff
    assert "+from package import code" in found.diff
    git(clone, "apply", "--include=package/code.py", str(patch))
    assert (clone / "package" / "code.py").read_text() == "answer = 42\n"


def test_a_huge_patch_is_cut_and_says_so(package: Path) -> None:
    (package / "code.py").write_text("x = 1\n" * provenance.DIFF_LIMIT)
    found = provenance.commit(package)
    assert len(found.diff) < provenance.DIFF_LIMIT + 200
    assert "(cut: " in found.diff


def test_the_commit_is_asked_for_once_a_process(package: Path) -> None:
    before = provenance.commit(package)
    (package / "code.py").write_text("answer = 42\n")
    assert provenance.commit(package) == before


def test_a_folder_outside_git_has_no_commit(tmp_path: Path) -> None:
    assert provenance.commit(tmp_path) == provenance.Commit("unknown", dirty=False)


def test_a_files_digest_follows_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    assert provenance.file_digest(path) == ""
    path.write_bytes(b"one")
    first = provenance.file_digest(path)
    assert len(first) == 16
    path.write_bytes(b"other")
    assert provenance.file_digest(path) != first


def test_the_machine_and_all_packages_are_named() -> None:
    machine = provenance.machine()
    assert {"system", "cpu", "cores", "threads", "instructions"} <= set(machine)
    assert all(isinstance(value, str) and value for value in machine.values())
    assert provenance.versions().items() - {("python", provenance.versions()["python"])} <= (
        provenance.packages().items()
    )
