"""What preprocessing and its workers tell each other."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from dfd.errors import DfdError


@dataclass(frozen=True, slots=True)
class Job:
    """One clip to be cut."""

    place: int  # in the manifest
    corpus: str
    clip_id: str
    source: str  # path or URL of the clip
    out: str  # folder or URL


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a job."""

    place: int
    file: str = ""  # of the face-only video, below `out`
    frames: int = 0
    sha256: str = ""  # of the clip; the first 16 hex digits
    made: bool = False  # False: it was there
    reason: str = ""  # why there is none


class OutError(DfdError):
    """A fault of the place that is written to, which every clip would meet."""


@contextmanager
def writing(out: str) -> Iterator[None]:
    """Within the block, what goes wrong is the fault of `out`.

    Raises:
        OutError: it cannot be read or written.
    """
    try:
        yield
    except OSError as error:
        raise OutError(f"{out} cannot be written ({error.strerror}); what is done is kept") from None
    except DfdError as error:
        raise OutError(str(error)) from None
