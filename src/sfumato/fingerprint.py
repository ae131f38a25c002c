"""What a result depends on, as one SHA-256: equal content gives an equal name.

Kept work (cells of an audit, checkpoints of a fit, an interrupted release) is found again by it,
and never by what a command was called: a path stays the same when what is there is replaced.
"""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sfumato.types import Fingerprinted

_TORCHS_OWN = frozenset(vars(nn.Module()))


def fingerprint(*things: Any) -> str:  # noqa: ANN401 - of whatever a protector is made of
    """Return one digest of any values, networks and objects, by content.

    Of an object it takes its own `fingerprint` where it has one, else its class, the source of
    that class where it can be read, and what a copy of it is made of (most often its attributes);
    of a function also what it closes over.
    """
    digest = hashlib.sha256()
    for thing in things:
        _feed(digest, thing, set())
    return digest.hexdigest()


def _feed(digest: Any, thing: Any, seen: set[int]) -> None:  # noqa: ANN401
    if thing is None or isinstance(thing, (bool, int, float, complex, str, bytes, Path)):
        _text(digest, f"{type(thing).__name__}={thing!r}")
    elif isinstance(thing, (torch.dtype, torch.device)):
        _text(digest, str(thing))
    elif isinstance(thing, Tensor):
        _tensor(digest, thing)
    elif isinstance(thing, Fingerprinted):
        _text(digest, f"{_name(thing)}={thing.fingerprint}")
    elif id(thing) in seen:
        _text(digest, "again")
    else:
        _compound(digest, thing, seen | {id(thing)})


def _compound(digest: Any, thing: Any, seen: set[int]) -> None:  # noqa: ANN401
    if isinstance(thing, Mapping):
        parts = [part for key in sorted(thing, key=repr) for part in (key, thing[key])]
    elif isinstance(thing, (list, tuple)):
        parts = list(thing)
    elif isinstance(thing, (set, frozenset)):
        parts = sorted(thing, key=repr)
    elif isinstance(thing, np.ndarray):
        content = thing.tolist() if thing.dtype.hasobject else thing.tobytes()
        parts = [str(thing.dtype), thing.shape, content]
    elif isinstance(thing, nn.Module):
        parts = [code_of(thing), repr(thing), thing.state_dict(), _settings(thing)]
    elif inspect.ismethod(thing):
        parts = [thing.__self__, thing.__func__]
    elif inspect.isfunction(thing):
        cells = [cell.cell_contents for cell in thing.__closure__ or ()]
        parts = [code_of(thing), thing.__defaults__, thing.__kwdefaults__, cells]
    elif dataclasses.is_dataclass(thing):
        # Fields that do not count in a comparison (where pictures go) do not count here either.
        fields = [field for field in dataclasses.fields(thing) if field.compare]
        parts = [code_of(thing), *(getattr(thing, field.name) for field in fields)]
    elif isinstance(thing, type) or inspect.isroutine(thing):
        parts = [code_of(thing)]
    else:
        parts = [code_of(thing), _copied(thing)]
    _text(digest, f"{_name(thing)}[{len(parts)}]")
    for part in parts:
        _feed(digest, part, seen)


def _copied(thing: object) -> Any:  # noqa: ANN401
    """Return what `copy` makes a copy of, as values: attributes are not all that objects hold.

    A `functools.partial`, a deque and whatever has slots would be equal to every other one.
    """
    try:
        made = thing.__reduce_ex__(2)
    except Exception:  # of a lock, say, there is no copy; each such thing says so in its own way
        return getattr(thing, "__dict__", {})
    if isinstance(made, str):
        return made
    return [list(part) if isinstance(part, Iterator) else part for part in made[1:]]


def _tensor(digest: Any, tensor: Tensor) -> None:  # noqa: ANN401
    _text(digest, f"{tensor.dtype}{tuple(tensor.shape)}")
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    digest.update(flat.view(torch.uint8).numpy())


def _text(digest: Any, text: str) -> None:  # noqa: ANN401
    content = text.encode()
    digest.update(len(content).to_bytes(8, "little") + content)


def _name(thing: object) -> str:
    kind = thing if isinstance(thing, type) or inspect.isroutine(thing) else type(thing)
    return f"{kind.__module__}.{kind.__qualname__}"


def _settings(net: nn.Module) -> dict[str, Any]:
    """Return plain attributes of a network and of those in it: `state_dict` has tensors only."""
    every = {
        f"{name}.{key}": v for name, part in net.named_modules() for key, v in vars(part).items()
    }
    return {key: v for key, v in every.items() if key.rpartition(".")[2] not in _TORCHS_OWN}


def code_of(thing: object) -> str:
    """Return the source of a class or a function, or of an object's class; else its name."""
    kind = thing if isinstance(thing, type) or inspect.isroutine(thing) else type(thing)
    try:
        return inspect.getsource(kind)
    except (OSError, TypeError):
        return _name(thing)
