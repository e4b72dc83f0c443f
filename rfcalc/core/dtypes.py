"""The types of values and weights: how many bytes one takes, and what frameworks call them. Imports `errors` only."""

from __future__ import annotations

from rfcalc.core.errors import UnknownName

DTYPES = {
    "float64": 8,
    "float32": 4,
    "tfloat32": 4,
    "bfloat16": 2,
    "float16": 2,
    "float8": 1,
    "int64": 8,
    "int32": 4,
    "int16": 2,
    "int8": 1,
    "complex128": 16,
    "complex64": 8,
    "complex32": 4,
}

DTYPE_ALIASES = {  # other names that frameworks use
    "fp64": "float64", "double": "float64", "f64": "float64",
    "fp32": "float32", "float": "float32", "single": "float32", "f32": "float32", "full": "float32",
    "tf32": "tfloat32",
    "bf16": "bfloat16",
    "fp16": "float16", "half": "float16", "f16": "float16",
    "fp8": "float8",
    "long": "int64", "i64": "int64", "int": "int32", "i32": "int32", "i16": "int16", "short": "int16", "i8": "int8",
}  # fmt: skip


def dtype_named(name: str) -> tuple[str, int]:
    """A type by its name or one of a framework's, and the bytes of one value.

    Raises:
        UnknownName: with the nearest names.

    >>> dtype_named("torch.half"), dtype_named("bf16")
    (('float16', 2), ('bfloat16', 2))
    """
    plain = str(name).lower().removeprefix("torch.")
    plain = DTYPE_ALIASES.get(plain, plain)
    if plain not in DTYPES:
        raise UnknownName("dtype", str(name), list(DTYPES))
    return plain, DTYPES[plain]
