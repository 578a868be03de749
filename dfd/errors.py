"""What a user can be told.

Every message is one sentence that names the file or setting, what is wrong with it and what to do. Pages and the
command line catch `DfdError` and nothing wider; anything else is a bug of ours and is shown as one.
"""


class DfdError(Exception):
    """Something the user can put right."""


class VideoError(DfdError):
    """A file that cannot be read as a video clip."""


class NoFaceError(DfdError):
    """A clip in which no face was found."""


class ManifestError(DfdError):
    """A corpus, list or split that contradicts itself."""


class ExperimentError(DfdError):
    """An experiment file with an unknown key or an impossible value."""


class LaunchError(DfdError):
    """A training that cannot be started or stopped from here."""


class CheckpointError(DfdError):
    """A checkpoint that is missing, damaged or does not fit."""


class DetectorError(DfdError):
    """A detector of the user's own that does not keep to what was agreed."""


class StoreError(DfdError):
    """The store of runs cannot be reached, or lacks what was asked for."""
