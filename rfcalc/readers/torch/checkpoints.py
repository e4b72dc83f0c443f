"""Parts of a module that are computed again in the backward pass, as `torch.utils.checkpoint` does, and functions that
define their own derivative."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any


class Checkpoints:
    """Notes which parts of a module are checkpointed while it runs.

    Args:
        plain: run them as if they were not: derivatives are taken one by one, which checkpoints refuse.
        now: the number of what comes next, where a part begins and where it has ended.

    Attributes:
        runs: the parts, each from a number up to another; parts within parts come before them.
        derived: the names of functions outside of PyTorch that define their own derivative.
    """

    def __init__(self, plain: bool = False, now: Callable[[], int] = lambda: 0) -> None:
        self.plain = plain
        self.now = now
        self.runs: list[tuple[int, int]] = []
        self.derived: dict[str, None] = {}

    def __enter__(self) -> Checkpoints:
        from torch.autograd import Function
        from torch.utils import checkpoint

        module: Any = checkpoint
        names = ("_checkpoint_without_reentrant_generator", "CheckpointFunction")
        self._before = [(name, getattr(module, name)) for name in names]
        usual, function = (value for _, value in self._before)
        outer = self

        def noted(*args: Any, **kwargs: Any) -> Iterator[None]:
            begin = outer.now()
            if outer.plain:
                yield
            else:
                yield from usual(*args, **kwargs)
            outer.runs.append((begin, outer.now()))

        class Noted(function):  # type: ignore[misc, valid-type]
            @classmethod
            def apply(cls, *args: Any) -> Any:
                begin = outer.now()
                made = args[0](*args[2:]) if outer.plain else function.apply(*args)
                outer.runs.append((begin, outer.now()))
                return made

        def apply(cls: type[Function], *args: Any, **kwargs: Any) -> Any:
            if not cls.__module__.startswith("torch."):
                outer.derived[cls.__name__] = None
            return outer._apply.__func__(cls, *args, **kwargs)

        module._checkpoint_without_reentrant_generator, module.CheckpointFunction = noted, Noted
        self._apply: Any = Function.__dict__["apply"]
        Function.apply = classmethod(apply)  # type: ignore[method-assign, assignment]
        return self

    def __exit__(self, *error: Any) -> None:
        from torch.autograd import Function
        from torch.utils import checkpoint

        Function.apply = self._apply  # type: ignore[method-assign]
        for name, value in self._before:
            setattr(checkpoint, name, value)
