"""A folder whose clips may be chosen on the page: `DFD_CLIPS`. Nothing outside it is, wherever a link in it points."""

import os
from collections.abc import Collection
from pathlib import Path

from dfd.errors import VideoError

MOST = 2000  # names that are listed


def clip_folder() -> Path | None:
    """The folder that `DFD_CLIPS` names; None where it names none.

    Raises:
        VideoError: there is no such folder.
    """
    named = os.environ.get("DFD_CLIPS", "")
    if not named:
        return None
    folder = Path(named).expanduser().resolve()
    if not folder.is_dir():
        raise VideoError(f"DFD_CLIPS is {named}, which is no folder; name one with clips, or unset it")
    return folder


def listed(folder: Path, suffixes: Collection[str]) -> list[str]:
    """The files in a folder and below that end so, by their names in it, in order; at most `MOST`.

    Hidden ones, and links that lead out of the folder, are left out.

    Args:
        folder: As `clip_folder` gives it.
        suffixes: In lower case, with their dots.
    """
    found: list[str] = []
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(place, name)
            if not name.startswith(".") and path.suffix.lower() in suffixes and _inside(folder, path):
                found.append(path.relative_to(folder).as_posix())
                if len(found) == MOST:
                    return found
    return found


def within(folder: Path, name: str) -> Path:
    """The file of this name in the folder, free of links.

    Raises:
        VideoError: it is not in the folder, or leads out of it.
    """
    if not _inside(folder, folder / name):
        raise VideoError(f"{name} is no clip of the folder that DFD_CLIPS names; choose one of its clips")
    return (folder / name).resolve()


def _inside(folder: Path, path: Path) -> bool:
    whole = path.resolve()
    return whole.is_relative_to(folder.resolve()) and whole.is_file()
