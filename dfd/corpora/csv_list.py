"""Clips that a CSV file names: `file` and `label`, and what else is known of them.

A file is a path below the corpus's folder, or a name that one video there has. A label is real or fake in any
case, or a number, if it is said which number is fake: corpora disagree. A column `attribute.NAME`, such as
`attribute.gender`, says what else is known of the clips; figures can be told apart by it (`dfd slices`).
"""

import csv
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from dfd.corpora.listing import BESIDE_TEST, PICTURES, Disk, Listing, SplitBy, make_listing
from dfd.errors import ManifestError
from dfd.labels import Label
from dfd.manifest import SPLITS, Clip, attributes
from dfd.splits import SHARES

NEEDED = ("file", "label")
KNOWN = ("method", "identity", "source", "split", "compression")
NEEDS = f"a CSV file with the columns file and label, and any of {', '.join(KNOWN)} and attribute.NAME"

People = Callable[[str], tuple[str, str]]
"""Target and source identity, by a file's stem; the source is "" where there is none."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a table."""

    line: int
    file: str
    label: Label
    cells: Mapping[str, str]  # the other columns; "" where nothing is said


@dataclass(frozen=True, slots=True)
class Table:
    """A file that names clips."""

    path: Path
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def csv_list(
    root: Path, *, name: str, split: SplitBy = "official", table: Path | None = None, fake_label: int | None = None
) -> Listing:
    """The clips that a table names and that are on disk.

    Args:
        root: holds the clips, and the table unless it is given.
        name: of the corpus.
        split: the table's `split` column is kept where it says something, or all is split by identity.
        table: the CSV file, by default the only one under the root that has `file` and `label`.
        fake_label: which of 0 and 1 is fake, where labels are numbers.

    Raises:
        ManifestError: there is no such table, or a line of it is wrong.
    """
    disk = Disk(root)
    found = read_table(only_table(disk.root) if table is None else table, fake_label)
    notes = [] if "identity" in found.columns else [no_people_note(len(found.rows))]
    return table_listing(disk, name, found, split, notes, lambda stem: (f"{disk.root.name}-{stem}", ""))


def no_people_note(clips: int) -> str:
    """What follows from not knowing who is seen."""
    return f"who is seen in {clips} clips is not known: each is taken for a person of its own, who may be in two splits"


def tables(root: Path) -> dict[Path, tuple[str, ...]]:
    """The CSV files in a folder that name clips, and their columns; manifests, which dfd writes, are none."""
    found = {path: _columns(path) for path in sorted(root.glob("*.csv")) if not path.name.startswith(".")}
    return {path: columns for path, columns in found.items() if columns}


def only_table(root: Path) -> Path:
    """The table of a folder.

    Raises:
        ManifestError: there is none, or more than one.
    """
    found = list(tables(root))
    if not found:
        raise ManifestError(
            f"{root} has no CSV file with the columns file and label; put one there, or name one with "
            "`dfd corpora add --table`"
        )
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise ManifestError(
            f"{root} has more than one table of clips ({names}); say which with `dfd corpora add --table`"
        )
    return found[0]


def read_table(path: Path, fake_label: int | None) -> Table:
    """Read a table; without a line of column names its two columns are file and label.

    Raises:
        ManifestError: it cannot be read, or a label is wrong or is a number of unknown meaning.
    """
    columns = _columns(path)
    if not columns:
        raise ManifestError(f"{path} is no table of clips in UTF-8; {NEEDS} is")
    rows: list[Row] = []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            for number, cells in enumerate(csv.reader(file), start=1):
                if cells and not (number == 1 and _is_header(cells)):
                    facts = dict(zip(columns, (cell.strip() for cell in cells), strict=False))
                    rows.append(_row(path, number, facts, fake_label))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ManifestError(f"{path} is no CSV file in UTF-8 ({error}); save it as one") from None
    return Table(path, columns, tuple(rows))


def table_listing(
    disk: Disk,
    name: str,
    table: Table,
    split: SplitBy,
    notes: list[str],
    people_of: People,
    *,
    albums: Iterable[str] = (),
) -> Listing:
    """The listing of a table's clips.

    Args:
        people_of: names the people of a row that does not.
        albums: folders of pictures that may be clips too.
    """
    there = _Names([*disk.videos(deep=True), *albums])
    missing: list[str] = []
    taken: dict[str, Row] = {}
    for row in table.rows:
        file = there.find(disk, row.file)
        if file is None:
            _refuse_pictures(disk, row.file)
            missing += [row.file] if row.file not in there.doubtful else []
        elif (first := taken.setdefault(file, row)) is not row:
            if first.label is not row.label:
                raise ManifestError(f"{table.path} says of {row.file} two things, in lines {first.line} and {row.line}")
            disk.left_out[f"{table.path.name} line {row.line}"] = f"line {first.line} names {file} already"
    disk.left_out |= {file: f"{table.path.name} does not name it" for file in there.names if file not in taken}
    disk.left_out |= there.doubtful
    clips = [_clip(disk, name, table, file, row, split, people_of) for file, row in taken.items()]
    tested = any(clip.official_split and clip.split == "test" for clip in clips)
    return make_listing(disk, name, clips, missing=missing, notes=notes, shares=BESIDE_TEST if tested else SHARES)


class _Names:
    """Videos, and folders of pictures where these are clips, by path and by name."""

    def __init__(self, names: list[str]) -> None:
        self.names = dict.fromkeys(names)
        self.doubtful: dict[str, str] = {}
        self._by_name: dict[str, list[str]] = defaultdict(list)
        for name in names:
            self._by_name[name.rpartition("/")[2]].append(name)

    def find(self, disk: Disk, file: str) -> str | None:
        """The clip that a table means, by its path below the root; None where it is not there."""
        path = PurePosixPath(file.replace("\\", "/"))
        if path.is_absolute() and path.is_relative_to(disk.root):
            path = path.relative_to(disk.root)
        for told in (str(path), str(path.with_suffix(""))):  # a folder of pictures goes by its video's name
            if told in self.names:
                return told
        same = self._by_name.get(path.name) or self._by_name.get(path.stem, [])
        if len(same) > 1:
            self.doubtful[file] = f"{same[0]} and {same[1]} have this name: give the path"
        return same[0] if len(same) == 1 else None


def _refuse_pictures(disk: Disk, file: str) -> None:
    folder = disk.root / file.replace("\\", "/")
    for place in (folder, folder.parent / folder.stem):
        if place.is_dir() and any(child.suffix.lower() in PICTURES for child in place.iterdir()):
            raise ManifestError(
                f"{place} is a folder of pictures; if they are face crops, add the corpus with `--kind face_only`, and "
                f"if not, pack it into a video (`ffmpeg -framerate 25 -i %04d.png -crf 10 {folder.stem}.mp4`)"
            )


def _clip(disk: Disk, name: str, table: Table, file: str, row: Row, split: SplitBy, people_of: People) -> Clip:
    cells = row.cells
    chosen = cells.get("split", "") if split == "official" else ""
    if chosen and chosen not in SPLITS:
        raise ManifestError(f"{table.path} line {row.line}: the split '{chosen}' is not one of {', '.join(SPLITS)}")
    target, source = people_of(PurePosixPath(file).stem)
    if cells.get("identity"):
        target, source = cells["identity"], cells.get("source", "")
    return Clip(
        corpus=name,
        clip_id=file,
        path=disk.path(file),
        label=row.label,
        method="original" if row.label is Label.REAL else cells.get("method") or "fake",
        compression=cells.get("compression", ""),
        target_identity=target,
        source_identity=source,
        split=next((known for known in SPLITS if known == chosen), "train"),
        official_split=bool(chosen),
        attributes=attributes(cells, cells),
    )


def _columns(path: Path) -> tuple[str, ...]:
    """The columns of a table; none where a file is no table of clips."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            first = next(csv.reader(file), [])
    except (OSError, UnicodeDecodeError, csv.Error):
        return ()
    if _is_header(first):
        return tuple(cell.strip().lower() for cell in first)
    plain = len(first) == 2 and first[1].strip().lower() in {"0", "1", *(label.word for label in Label)}
    return NEEDED if plain else ()


def _is_header(cells: list[str]) -> bool:
    return set(NEEDED) <= {cell.strip().lower() for cell in cells}


def _row(path: Path, line: int, facts: dict[str, str], fake_label: int | None) -> Row:
    file, word = facts.pop("file", ""), facts.pop("label", "")
    if not file:
        raise ManifestError(f"{path} line {line}: no file is named")
    if word in ("0", "1"):
        if fake_label is None:
            raise ManifestError(
                f"{path} line {line}: the label {word} does not say whether the clip is fake; say which number is with "
                "`dfd corpora add --fake-label 0`, or 1 (it is 0 in the published ResNeXt-LSTM code, 1 in most other)"
            )
        return Row(line, file, Label.FAKE if int(word) == fake_label else Label.REAL, facts)
    try:
        return Row(line, file, Label.parse(word), facts)
    except ValueError as error:
        raise ManifestError(f"{path} line {line}: {error}") from None
