"""The errors for users: one line that names the cause and the remedy.

Whoever knows the cause raises one of these; `aigc.core.process` prints it and turns it into an exit code.
"""


OUT_OF_MEMORY = ("out of memory", "can't allocate memory")  # in torch's messages: CUDA and MPS; CPU


def is_out_of_memory(error: Exception) -> bool:
    """Whether torch ran out of memory, on the device or on the host."""
    return isinstance(error, RuntimeError) and any(text in str(error) for text in OUT_OF_MEMORY)


class AigcError(Exception):
    """An error that the user can fix. Its text is a single line: what is wrong, where, what to do."""

    exit_code = 1


class ConfigError(AigcError):
    """params.yaml (or the command line) is not valid."""


class DataError(AigcError):
    """The data, or an array made from it, is not what it should be."""


class GateError(AigcError):
    """A check failed: what it checked must not be used."""


class DivergedError(AigcError):
    """A training has a loss or a weight that is not finite."""


class StorageError(AigcError):
    """A file could not be written, or is not what was written."""


class Interrupted(AigcError):
    """The process was asked to stop, and stopped at a safe point."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number
