"""The errors that a user is meant to read: one line that names the culprit and the remedy.

Whoever knows the cause raises one of these; `aigc.core.process` prints it and turns it into an exit code.
"""


class AigcError(Exception):
    """Something that the user can mend. Its text is a single line: what is wrong, where, what to do."""

    exit_code = 1


class ConfigError(AigcError):
    """params.yaml (or the command line) says something that cannot be meant."""


class DataError(AigcError):
    """The data, or an array made from it, is not what it should be."""


class GateError(AigcError):
    """A check did its work: the thing that it judged must not go on."""


class DivergedError(AigcError):
    """A training run left the finite numbers."""


class StorageError(AigcError):
    """A file could not be written, or is not what was written."""


class Interrupted(AigcError):
    """The process was asked to stop and did so at a safe point."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number
