"""Errors that `lumbar` raises on purpose.

LumbarError                 every message says the rule, the value found and the remedy
├── InputError              the input cannot be used (exit code 3)
│   ├── UnreadableInput     a file or folder that cannot be opened, decoded or understood
│   ├── NoUsableSeries      the files are readable, but no series suits the task
│   └── GeometryError       positions or orientations that contradict each other
├── UsageError              a request that makes no sense, or an output that is in the way (exit code 2)
└── ModelError              a model folder that is missing, damaged or of another kind (exit code 3)
"""


class LumbarError(Exception):
    """Base of all errors that are shown to the user."""

    exit_code = 1


class InputError(LumbarError):
    """The input cannot be used."""

    exit_code = 3


class UnreadableInput(InputError):
    """A file or folder cannot be opened, decoded or understood."""


class NoUsableSeries(InputError):
    """No series of the input is of the kind that the task needs."""


class GeometryError(InputError):
    """Positions, orientations or spacings contradict each other."""


class UsageError(LumbarError):
    """The request makes no sense as it stands, or its output is in the way."""

    exit_code = 2


class ModelError(LumbarError):
    """A model folder is missing, damaged, or does not fit the task."""

    exit_code = 3
