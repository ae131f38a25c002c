"""A device that is not this processor, without a card: its numbers are this processor's own.

A tensor on `far` holds one of the processor's, and PyTorch believes it to be elsewhere. As a card
does, it refuses to work on tensors of two devices, and to hand its memory to numpy; but trainings
on it are real, with early stops, checkpoints and scores.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map

_FAR = "far"
_BETWEEN = {"aten::copy_", "aten::_to_copy"}
_INDEXING = {"aten::index", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_"}


class Far(Tensor):
    """A tensor elsewhere."""

    near: Tensor

    @staticmethod
    def __new__(cls, near: Tensor) -> Far:
        made: Far = Tensor._make_wrapper_subclass(
            cls, near.size(), strides=near.stride(), storage_offset=near.storage_offset(),
            dtype=near.dtype, device=f"{_FAR}:0",
        )  # fmt: skip
        made.near = near
        return made

    def __repr__(self) -> str:  # type: ignore[override]
        return f"Far({self.near!r})"

    def tolist(self) -> Any:
        return self.near.tolist()

    @classmethod
    def __torch_dispatch__(
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        device = kwargs.get("device")
        _refuse_two_devices(func._schema.name, args, kwargs)
        inner = kwargs | ({} if device is None else {"device": "cpu"})
        found = func(*tree_map(_near, args), **tree_map(_near, inner))
        if device is None or torch.device(device).type == _FAR:
            found = tree_map(lambda t: cls(t) if isinstance(t, Tensor) else t, found)
        out = kwargs.get("out")
        assert not isinstance(out, Far) or out.shape == out.near.shape, "it cannot grow"
        return return_and_correct_aliasing(func, args, kwargs, found)


def _near(value: Any) -> Any:
    return value.near if isinstance(value, Far) else value


def _refuse_two_devices(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    if name in _BETWEEN:
        return
    given: Any = (args, kwargs)
    if name in _INDEXING and isinstance(args[0], Far):
        given = (args[0], args[2:])  # a card takes the processor's indices
    # A card takes the processor's numbers without a dimension, too.
    tensors = [t for t in tree_leaves(given) if isinstance(t, Tensor) and t.dim()]
    if not all(isinstance(tensor, Far) for tensor in tensors):
        raise RuntimeError(f"{name}: expected all tensors on one device, got some on {_FAR}")


class _Module:
    """What PyTorch asks the module of a device."""

    there = False

    def is_available(self) -> bool:
        return self.there

    def is_initialized(self) -> bool:
        return True

    def _is_in_bad_fork(self) -> bool:
        return False

    def device_count(self) -> int:
        return int(self.there)

    def current_device(self) -> int:
        return 0

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16]

    # Its numbers are drawn by this processor's generator.
    def manual_seed_all(self, _: int) -> None:
        pass

    def get_rng_state(self, _: Any = None) -> Tensor:
        return torch.empty(0)

    def set_rng_state(self, *_: Any) -> None:
        pass


class _OfGenerators(type(torch.Generator)):  # type: ignore[misc]
    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, _REAL_GENERATOR)


_REAL_GENERATOR = torch.Generator


class Generator(_REAL_GENERATOR, metaclass=_OfGenerators):
    """One of this processor, also where one of the device is asked for."""

    def __new__(cls, device: Any = "cpu") -> Generator:
        near = torch.device(device).type == _FAR
        return super().__new__(cls, "cpu" if near else device)


_SWAP = torch.utils.swap_tensors


def _exchange(one: Tensor, other: Tensor) -> None:
    """Exchange a parameter for its copy elsewhere.

    PyTorch refuses it while a graph holds the parameter, which a real card never does: one that is
    there already is left alone, and a graph that waits for the collector is collected.
    """
    if (one.device, one.dtype) == (other.device, other.dtype):
        return
    try:
        _SWAP(one, other)
    except RuntimeError:
        gc.collect()
        _SWAP(one, other)


_module = _Module()
_library: torch.library.Library | None = None


@contextmanager
def far_there() -> Iterator[None]:
    """Be a machine with this accelerator: `auto` takes it."""
    register()
    _module.there = True
    # Or a module that is moved would get other parameters than those that an optimizer has.
    torch.__future__.set_swap_module_params_on_conversion(True)
    torch.Generator = Generator  # type: ignore[misc]
    torch.utils.swap_tensors = _exchange
    try:
        yield
    finally:
        torch.utils.swap_tensors = _SWAP
        torch.Generator = _REAL_GENERATOR  # type: ignore[misc]
        torch.__future__.set_swap_module_params_on_conversion(False)
        _module.there = False


def register() -> None:
    """Make PyTorch know the device: before the first backward pass of a process, or never."""
    global _library
    if _library is not None:
        return
    from torch.utils import backend_registration as registration

    class Hook(torch._C._acc.PrivateUse1Hooks):
        def is_available(self) -> bool:
            return _module.there

        def has_primary_context(self, _: int) -> bool:
            return True

        def is_built(self) -> bool:
            return True

    registration._setup_privateuseone_for_python_backend(_FAR, _module, Hook())
    _library = torch.library.Library("aten", "IMPL")
    for name in _MAKERS:
        _library.impl(name, _made_near(name), "PrivateUse1")
    _library.impl("_copy_from", _copied, "PrivateUse1")  # `torch.tensor` asks for it


# Every other maker fills what one of the first two has made.
_MAKERS = (
    "empty.memory_format", "empty_strided", "arange", "arange.start", "arange.start_step", "eye",
    "eye.m", "linspace", "randperm", "randperm.generator", "tril_indices", "triu_indices",
)  # fmt: skip


def _made_near(name: str) -> Callable[..., Far]:
    packet, _, overload = name.partition(".")
    function = getattr(getattr(torch.ops.aten, packet), overload or "default")

    def make(*args: Any, **given: Any) -> Far:
        return Far(function(*args, **given | {"device": "cpu", "pin_memory": None}))

    return make


def _copied(source: Tensor, target: Tensor, _: bool = False) -> Tensor:
    _near(target).copy_(_near(source))
    return target
