"""What tensors without data say of themselves in Python: their device, their data, what they are picked by.

Where the code asks for values that are not there, it is told apart what for: an assertion is taken to hold (and that is
noted), text of a value is a dash; anything else cannot be answered.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import torch

from rfcalc.readers.torch.asserting import asserted, told
from rfcalc.readers.torch.recorder import ValuesAsked

_T: Any = torch.Tensor
Special = Callable[[Any, Any, Any, Any], Any]
SPECIAL: dict[Any, Special] = {}


def _of(*functions: Any) -> Callable[[Special], Special]:
    def register(special: Special) -> Special:
        SPECIAL.update(dict.fromkeys(functions, special))
        return special

    return register


@_of(_T.device.__get__)
def _device(mode: Any, func: Any, args: Any, kwargs: Any) -> Any:
    return mode.recorder.home if args[0].is_meta else func(*args)


@_of(_T.data.__get__)
def _data(mode: Any, func: Any, args: Any, kwargs: Any) -> Any:
    found = func(*args)
    mode.recorder.add("detach", {"self": args[0]}, found, views=True)
    return found


@_of(_T.data.__set__)
def _data_set(mode: Any, func: Any, args: Any, kwargs: Any) -> Any:
    """Values are written; what has none is stood for by memory that is never read."""
    x, new = args
    if new.is_meta and not x.is_meta:
        fresh = torch.empty(new.shape, dtype=new.dtype, device=mode.recorder.home)
        func(x, fresh)
        mode.recorder.emptied(fresh)
    else:
        func(x, new)
    mode.recorder.add("copy_", {"self": x, "src": new}, x, writes=True)


@_of(_T.is_meta.__get__)
def _is_meta(mode: Any, func: Any, args: Any, kwargs: Any) -> Any:
    return False


@_of(_T.is_cpu.__get__, _T.is_cuda.__get__, _T.is_mps.__get__)
def _is_on(mode: Any, func: Any, args: Any, kwargs: Any) -> Any:
    return func(torch.empty(0, device=mode.recorder.home)) if args[0].is_meta else func(*args)


@_of(_T.get_device)
def _index(mode: Any, func: Any, args: Any, kwargs: Any) -> Any:
    return torch.empty(0, device=mode.recorder.home).get_device() if args[0].is_meta else func(*args)


@_of(_T.type)
def _type(mode: Any, func: Any, args: Any, kwargs: Any) -> Any:
    """The name of a kind of tensors, as ``torch.FloatTensor``, or such a tensor."""
    x, *kind = args
    if not x.is_meta:
        return func(*args, **(kwargs or {}))
    if not kind and not kwargs:
        return torch.empty(0, dtype=x.dtype, device=mode.recorder.home).type()
    named: Any = (*kind, (kwargs or {}).get("dtype"))[0]
    return x.to(_T.type(torch.empty(0), named).dtype if isinstance(named, (str, type)) else named)


@_of(_T.new_tensor)
def _new_tensor(mode: Any, func: Any, args: Any, kwargs: Any) -> Any:
    x, *rest = args
    if not x.is_meta:
        return func(*args, **kwargs)
    return torch.tensor(*rest, **{"dtype": x.dtype, "device": mode.recorder.home, **kwargs})


@_of(_T.__getitem__, _T.__setitem__)
def _item(mode: Any, func: Any, args: Any, kwargs: Any) -> Any:
    """Lists that code picks by (``x[:, [2, 0, 1]]``) keep their values."""
    x, at, *rest = args
    if x.is_meta:
        if isinstance(at, list) or type(at).__module__ == "numpy":
            at = (at,)
        if isinstance(at, tuple) and any(isinstance(i, list) or type(i).__module__ == "numpy" for i in at):
            at = tuple(_positions(i) for i in at)
    return func(x, at, *rest)


def _positions(index: Any) -> Any:
    if type(index).__module__ == "numpy" and not getattr(index, "shape", ()):
        return int(index)
    if isinstance(index, list) or type(index).__module__ == "numpy":
        return torch.as_tensor(index, device="cpu")
    return index


@_of(_T.__format__)
def _format(mode: Any, func: Any, args: Any, kwargs: Any) -> Any:
    return "–" if mode.blank(args[0]) and args[0].dim() == 0 else func(*args, **kwargs)


@_of(
    *(_T.item, _T.tolist, _T.numpy, _T.__array__, _T.__int__, _T.__float__, _T.__index__, _T.__complex__),
)
def _asked(mode: Any, func: Any, args: Any, kwargs: Any) -> Any:
    if any(mode.blank(a) for a in args):
        raise ValuesAsked(getattr(func, "__name__", "item").strip("_"))
    return func(*args, **kwargs)


@_of(_T.__bool__, _T.is_nonzero, torch.is_nonzero, torch.equal, _T.equal, torch.allclose, _T.allclose)
def _bool(mode: Any, func: Any, args: Any, kwargs: Any) -> Any:
    """Of two ways, one of which only raises, the other is taken."""
    if not any(mode.blank(a) for a in args):
        return func(*args, **kwargs)
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and frame.f_globals.get("__name__", "").startswith("rfcalc."):
        frame = frame.f_back
    holds = None if frame is None else asserted(frame)
    if frame is None or holds is None:
        raise ValuesAsked(func.__name__.strip("_"))
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "torch":
        frame = frame.f_back  # torch._assert
    mode.assumed[told(frame)] = None
    return holds
