"""Parts of a module that are computed again in the backward pass, as `torch.utils.checkpoint` does."""

from __future__ import annotations

from typing import Any


class Checkpoints:
    """Whether parts of a module are checkpointed.

    Args:
        plain: run them without, where derivatives are taken one by one, which the older sort of checkpoints refuses.
    """

    def __init__(self, plain: bool = False) -> None:
        self.used = False
        self.plain = plain

    def __enter__(self) -> Checkpoints:
        from torch.utils import checkpoint

        module: Any = checkpoint
        self._before = [(n, getattr(module, n)) for n in ("_checkpoint_without_reentrant_generator",)]
        self._before += [("CheckpointFunction", module.CheckpointFunction)]
        usual, function = self._before[0][1], self._before[1][1]

        def noted(*args: Any, **kwargs: Any) -> Any:
            self.used = True
            return usual(*args, **kwargs)

        outer = self

        class Noted(function):  # type: ignore[misc, valid-type]
            @classmethod
            def apply(cls, *args: Any) -> Any:
                outer.used = True
                return args[0](*args[2:]) if outer.plain else function.apply(*args)

        module._checkpoint_without_reentrant_generator, module.CheckpointFunction = noted, Noted
        return self

    def __exit__(self, *error: Any) -> None:
        from torch.utils import checkpoint

        for name, value in self._before:
            setattr(checkpoint, name, value)
