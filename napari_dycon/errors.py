"""Errors whose message is meant for the person at the screen."""


class DyconError(Exception):
    """Something the user can mend; the message says what is wrong, where, and what to do."""


class VolumeError(DyconError):
    """A scan or mask file that cannot be used."""


class GridMismatchError(VolumeError):
    """A mask that does not lie on the grid of its scan."""


class StudyError(DyconError):
    """A study folder that cannot be opened, changed or written."""


class TrainingError(DyconError):
    """A training or prediction that cannot start or go on."""
