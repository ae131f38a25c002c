"""Every exception that Sfumato raises on purpose.

SfumatoError
├── InputError             something given by the caller is not usable
│   ├── ImageError         the bytes of one image are refused
│   ├── DataError          an image set, its labels or its folder
│   └── ConfigError        a setting, or two that exclude each other
├── FormatError            stored or received bytes are not what they claim to be
│   ├── ArtifactError      a folder or file written by `fit` or `features`
│   ├── EnrollmentError    an enrollment file
│   ├── BankError          a bank on disk
│   └── EnvelopeError      a sealed feature tensor; says nothing of the fault's kind
├── KeyRingError           a key is unknown, retired or its file cannot be unlocked
├── StorageError           a database cannot be written: the disk is full or fails
├── ServiceError           a server refused, failed or could not be reached
│   ├── DatabaseError      a service's database does not answer
│   └── RequestError       one request is refused; carries the HTTP status
├── UnavailableError       an optional part (extra, device, checkout) is not installed
└── GateError              an audit does not show that a protection leaks as little as asked

Every message says what was expected, what came and what to do next. It names settings as Python
spells them, in backticks: a command line writes its flags instead. Each error carries the exit code
with which the command line ends.
"""

from __future__ import annotations

import re
from typing import Final

FIELD: Final = re.compile(r"`([a-z]\w*)`")
"""A setting in a message."""


class SfumatoError(Exception):
    """Base of all errors raised on purpose; `str(error)` is fit to show to a user."""

    exit_code = 1

    @property
    def fields(self) -> tuple[str, ...]:
        """The settings that the message names."""
        return tuple(FIELD.findall(str(self)))


class InputError(SfumatoError, ValueError):
    """Something given by the caller is not usable."""

    exit_code = 2


class ImageError(InputError):
    """The bytes of one image are refused."""


class DataError(InputError):
    """An image set, its labels or its folder is not usable."""


class ConfigError(InputError):
    """A setting is out of its range, or two settings exclude each other."""


class FormatError(SfumatoError):
    """Stored or received bytes are not what they claim to be."""

    exit_code = 3


class ArtifactError(FormatError):
    """A model, backbone or checkpoint on disk cannot be read."""


class EnrollmentError(FormatError):
    """An enrollment is malformed, forged or made for another backbone."""


class BankError(FormatError):
    """A bank on disk cannot be read."""


class EnvelopeError(FormatError):
    """A sealed tensor cannot be opened. Every fault gives this one message.

    Telling a forger which check failed would be an oracle.
    """

    def __init__(self) -> None:
        super().__init__("the envelope cannot be opened: wrong key, or it was altered or cut short")


class KeyRingError(SfumatoError):
    """A key is unknown or retired, or its file cannot be unlocked."""

    exit_code = 4


class ServiceError(SfumatoError):
    """A server refused, failed or could not be reached."""

    exit_code = 5


class DatabaseError(ServiceError):
    """A service's database does not answer. The text names it: for whoever runs the service."""


class RequestError(ServiceError):
    """One request is refused; `status` is the HTTP status that says so to a client.

    `retry_after` is how many seconds the client should wait, where waiting helps.
    """

    def __init__(self, status: int, message: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status, self.retry_after = status, retry_after


class StorageError(SfumatoError):
    """A database cannot be written: the disk is full, read-only or failing."""

    exit_code = 7


class UnavailableError(SfumatoError):
    """An optional part is not installed here; the message says how to get it."""

    exit_code = 6


class GateError(SfumatoError):
    """An audit does not show that a protection leaks at most what its caller allows.

    It leaks more, it releases originals, the interval reaches above the limit, or nothing could be
    measured: the message says which.
    """

    exit_code = 8
