"""The two classes, fixed once: fake is the positive class everywhere."""

from enum import IntEnum


class Label(IntEnum):
    """Class of a clip; also the index of its logit."""

    REAL = 0
    FAKE = 1

    @property
    def word(self) -> str:
        """`real` or `fake`, as written in manifests and on pages."""
        return self.name.lower()

    @classmethod
    def parse(cls, word: str) -> "Label":
        """Read `real` or `fake` in any case.

        Raises:
            ValueError: any other word; numbers are refused, since corpora disagree on which is which.
        """
        try:
            return cls[word.strip().upper()]
        except KeyError:
            raise ValueError(f"'{word}' is neither 'real' nor 'fake'") from None
