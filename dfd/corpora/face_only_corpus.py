"""Corpora as others preprocessed them: face-only videos or folders of crops, and a CSV file of `file,label`.

So the published ResNeXt-LSTM experiments are shared (Gobal_metadata.csv beside the face videos of FaceForensics++,
Celeb-DF and DFDC): files by name alone, FAKE or REAL. Who is seen is read off the names that FaceForensics++ and
Celeb-DF give; DFDC's say nothing. `dfd preprocess` takes every frame, or every picture of a folder, whole.
"""

import re
from pathlib import Path

from dfd.corpora.csv_list import no_people_note, only_table, read_table, table_listing, tables
from dfd.corpora.listing import Disk, Listing, SplitBy
from dfd.errors import VideoError
from dfd.video import probe

SIDE = 256  # px: a face-only video is square and not larger
NEEDS = "a CSV file with the columns file and label alone, beside square videos of faces or folders of face crops"

_NAMES = (
    ("ff-", re.compile(r"(?P<target>\d{3})(?:_(?P<source>\d{3}))?")),
    ("celeb-", re.compile(r"(?P<target>id\d+)(?:_(?P<source>id\d+))?_\d+")),
)


def is_face_only(root: Path) -> bool:
    """Whether a folder holds a table of labels alone, and its first video is a face's, or folders of pictures."""
    if any(len(columns) > 2 for columns in tables(root).values()) or not tables(root):
        return False
    disk = Disk(root)
    first = next(disk.videos(deep=True), None)
    try:
        return any(disk.albums()) if first is None else _is_face(disk.path(first))
    except VideoError:
        return False


def face_only(
    root: Path, *, name: str, split: SplitBy = "official", table: Path | None = None, fake_label: int | None = None
) -> Listing:
    """The face-only clips that a table names and that are on disk, split by identity unless it has a split column.

    Args:
        root: holds the videos or folders of crops, in any folders, and the table unless it is given.
        name: of the corpus.
        split: as of `csv_list`.
        table: the CSV file, by default the only one under the root.
        fake_label: which of 0 and 1 is fake, where labels are numbers; 0 in the published ResNeXt-LSTM code.

    Raises:
        ManifestError: there is no such table, or a line of it is wrong.
    """
    disk = Disk(root)
    found = read_table(only_table(disk.root) if table is None else table, fake_label)
    nameless = sum(_people(Path(row.file).stem) is None for row in found.rows)
    notes = [
        "these are crops, which `dfd preprocess` takes whole; experiments say `crop: {detector: given, margin: 1}`"
    ]
    if nameless:
        notes.append(no_people_note(nameless))
    return table_listing(
        disk,
        name,
        found,
        split,
        notes,
        lambda stem: _people(stem) or (f"{disk.root.name}-{stem}", ""),
        albums=disk.albums(),
    )


def _people(stem: str) -> tuple[str, str] | None:
    """Target and source of a clip that FaceForensics++ or Celeb-DF named."""
    for prefix, form in _NAMES:
        match = form.fullmatch(stem)
        if match:
            return prefix + match["target"], prefix + match["source"] if match["source"] else ""
    return None


def _is_face(path: Path) -> bool:
    info = probe(path)
    return info.width == info.height <= SIDE
