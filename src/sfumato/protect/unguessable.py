"""Noise of releases, drawn so that nobody can draw it again and subtract it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def unguessable() -> Iterator[None]:
    """Let torch draw from a seed of the operating system for the time of a `with` block.

    A fresh process would draw the same numbers each time. The caller's own state is untouched.
    """
    with torch.random.fork_rng():
        torch.manual_seed(secrets.randbits(63))
        yield
