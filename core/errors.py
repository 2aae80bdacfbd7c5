"""The errors a person may see.

Each carries a message in the reader's language that says what happened, why, and what to do.
Pages show ``str(error)`` and never a traceback.
"""


class TallerError(Exception):
    """Base of every error whose message is meant for the person at the page."""


class InputInvalid(TallerError):
    """What was typed or uploaded can't be used as it is (empty, wrong encoding, bad pattern …)."""


class InputTooLong(InputInvalid):
    """The input is longer than what this page accepts."""


class ModelUnavailable(TallerError):
    """A model or tokenizer is neither on this machine nor, right now, to be had from the hub."""


class QueueFull(TallerError):
    """Too many requests wait for the device, or this one has waited too long."""


class TooManyOfYours(QueueFull):
    """One visitor has as many requests waiting as one may have."""


class DownloadFailed(TallerError):
    """A download can't begin or could not be finished; what came through is kept for the next try."""


class OutOfMemory(TallerError):
    """A model or a request doesn't fit into the memory that is free."""
