"""How often types and shapes are checked in tests: each function's first calls in every test.

A check takes longer than most functions do, and a training calls some of them ten thousand times;
what fits in the first calls seldom fails to fit later. Named in pyproject.toml.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any

from beartype import beartype

_CALLS = 5
_done: list[Callable[..., Any]] = []


def begin_test() -> None:
    """Check every function again, from its next call on."""
    for function in _done:
        function.__dict__.pop("__no_type_check__", None)
    _done.clear()


def checked(signature: Callable[..., Any]) -> Callable[..., Any]:
    """Return a check of a function's types: made when it is first called, as most never are."""
    check, calls = None, 0

    @wraps(signature)
    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal check, calls
        check = check or beartype(signature)
        calls += 1
        if calls % _CALLS == 0:
            # jaxtyping asks the function itself whether to check it, and calls us beside it.
            here = inspect.currentframe()
            function = here and here.f_back and here.f_back.f_locals.get("fn")
            if function is not None:
                function.__no_type_check__ = True
                _done.append(function)
        return check(*args, **kwargs)

    return counted
