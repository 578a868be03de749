"""From what a person types to a manifest: the name of a corpus, or a folder."""

import logging
from collections.abc import Callable
from pathlib import Path

from dfd import storage
from dfd.corpora import csv_list, kinds, registry
from dfd.corpora.kinds import Options
from dfd.corpora.listing import Listing
from dfd.errors import ManifestError
from dfd.manifest import Clip, Manifest, read_manifest
from dfd.paths import data_dir
from dfd.recipe import GIVEN, CropRecipe

log = logging.getLogger(__name__)


def find(name: str) -> Manifest:
    """The manifest of a registered or sample corpus, or of a folder: its `manifest.csv`, or what an adapter finds.

    A name that is registered means that corpus, even where a folder has it too (`./name` means the folder). What an
    adapter says of a folder that is read on the way, without being added, goes to the log.

    Raises:
        ManifestError: nothing of that name is there, or its clips leak identities between splits.
    """
    if registry.is_registered(name):
        return registry.get(name).manifest().check()
    place = Path(name)
    manifest = place / "manifest.csv"
    if manifest.is_file() and manifest not in csv_list.tables(place):
        return read_manifest(manifest).check()
    if place.is_dir():
        listing = kinds.read(kinds.detect(place), place, place.resolve().name, Options())
        _tell(place, listing)
        return listing.manifest.check()
    raise ManifestError(
        f"there is no corpus '{name}': it is neither a folder, nor was it added, nor is it a sample corpus under "
        f"{data_dir() / 'sample'}; name a folder, or run `dfd corpora add` or `dfd sample` first"
    )


def recipe_for(name: str) -> CropRecipe:
    """How a corpus's faces are cut where no experiment says: crops that others cut are taken whole."""
    if registry.is_registered(name):
        kind = registry.get(name).kind
    else:
        place = Path(name)
        kind = kinds.detect(place) if place.is_dir() and not (place / "manifest.csv").is_file() else ""
    return GIVEN if kind == "face_only" else CropRecipe()


def _tell(place: Path, listing: Listing) -> None:
    for note in listing.notes:
        log.warning("%s: %s", place, note)
    if listing.missing:
        log.warning("%s: %d of %d clips are missing", place, len(listing.missing), listing.expected)
    if listing.left_out:
        name, why = listing.left_out[0]
        log.warning("%s: %d left out, the first %s: %s", place, len(listing.left_out), name, why)


def located(name: str) -> tuple[Manifest, Callable[[Clip], str]]:
    """As `find`, and where each clip lies: `name` may also be the URL of a manifest with paths relative to it.

    Raises:
        DfdError: nothing of that name is there, or it cannot be read.
    """
    if not storage.is_url(name):
        return find(name), lambda clip: str(clip.path)
    with storage.fetched(name) as path:
        folder, manifest = path.parent.resolve(), read_manifest(path).check()
    base = name.rpartition("/")[0]

    outside = next((clip for clip in manifest if not clip.path.is_relative_to(folder)), None)
    if outside is not None:
        raise ManifestError(f"{name}: the path of '{outside.clip_id}' is not relative to the manifest; make it so")

    def source(clip: Clip) -> str:
        return storage.join(base, clip.path.relative_to(folder).as_posix())

    return manifest, source
