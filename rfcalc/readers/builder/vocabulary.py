"""The names of element-wise functions: what a function is called in a network, whatever a framework calls it.

The names are ATen's; readers of other formats map theirs onto these, so that one function has one name.
"""

from __future__ import annotations

# Functions of one value.
UNARY = [
    "abs",
    "exp",
    "expm1",
    "exp2",
    "log",
    "log2",
    "log10",
    "log1p",
    "sqrt",
    "rsqrt",
    "reciprocal",
    "neg",
    "sin",
    "cos",
    "tan",
    "sinh",
    "cosh",
    "asin",
    "acos",
    "atan",
    "erf",
    "erfc",
    "erfinv",
    "square",
    "sign",
    "sgn",
    "floor",
    "ceil",
    "round",
    "trunc",
    "frac",
    "logit",
    "hardshrink",
    "softshrink",
    "log_sigmoid",
    "threshold",
    "clamp_min",
    "clamp_max",
    "logical_not",
    "bitwise_not",
    "isnan",
    "isinf",
    "isfinite",
    "nan_to_num",
    "rrelu",
    "sinc",
    "deg2rad",
    "digamma",
    "lgamma",
    "polygamma",
    "relu_squared",
    "tanhshrink",
    "softsign",
    "angle",
    "real",
    "imag",
    "special_expit",
    "special_erf",
    "arctan",
    "asinh",
    "acosh",
    "atanh",
    "rad2deg",
    "signbit",
]

# Those that depend on more than the value: a number, chance, what kind of number it is.
NUMBERED = {"logit", "hardshrink", "softshrink", "threshold", "clamp_min", "clamp_max", "nan_to_num", "rrelu"}
NUMBERED |= {"polygamma", "relu_squared", "imag", "bitwise_not"}

# Functions of one value that PyTorch has not.
OTHERS = ["cbrt", "squareplus", "sparse_plus", "sparse_sigmoid", "cast"]

# Functions of several values at one place.
SEVERAL = [
    "sub",
    "div",
    "true_divide",
    "divide",
    "subtract",
    "maximum",
    "minimum",
    "fmax",
    "fmin",
    "pow",
    "atan2",
    "floor_divide",
    "remainder",
    "fmod",
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
    "logical_and",
    "logical_or",
    "logical_xor",
    "bitwise_and",
    "bitwise_or",
    "bitwise_xor",
    "where",
    "masked_fill",
    "lerp",
    "addcmul",
    "addcdiv",
    "rsub",
    "copysign",
    "hypot",
    "complex",
    "polar",
    "xlogy",
    "logaddexp",
    "logaddexp2",
    "isclose",
    "heaviside",
    "gcd",
    "lcm",
]

# What other formats call these: ONNX's operators, Keras' functions.
ONNX = {
    "Abs": "abs", "Acos": "acos", "Acosh": "acosh", "Asin": "asin", "Asinh": "asinh", "Atan": "atan", "Atanh": "atanh",
    "Ceil": "ceil", "Cos": "cos", "Cosh": "cosh", "Erf": "erf", "Exp": "exp", "Floor": "floor", "IsInf": "isinf",
    "IsNaN": "isnan", "Log": "log", "Neg": "neg", "Not": "logical_not", "Reciprocal": "reciprocal", "Round": "round",
    "Shrink": "hardshrink", "Sign": "sign", "Sin": "sin", "Sinh": "sinh", "Softsign": "softsign", "Sqrt": "sqrt",
    "Tan": "tan", "ThresholdedRelu": "threshold", "BitwiseNot": "bitwise_not",
}  # fmt: skip
ONNX_SEVERAL = {
    "Sub": "sub", "Div": "div", "Pow": "pow", "Mod": "remainder", "Max": "maximum", "Min": "minimum",
    "And": "logical_and", "Or": "logical_or", "Xor": "logical_xor", "Equal": "eq", "Less": "lt", "LessOrEqual": "le",
    "Greater": "gt", "GreaterOrEqual": "ge", "Where": "where", "BitwiseAnd": "bitwise_and", "BitwiseOr": "bitwise_or",
    "BitwiseXor": "bitwise_xor",
}  # fmt: skip
KERAS = {
    "Absolute": "abs", "Abs": "abs", "Fabs": "abs", "Exp": "exp", "Exp2": "exp2", "Expm1": "expm1", "Log": "log",
    "Log2": "log2", "Log10": "log10", "Log1p": "log1p", "Sqrt": "sqrt", "Rsqrt": "rsqrt", "Cbrt": "cbrt",
    "Square": "square", "Reciprocal": "reciprocal", "Negative": "neg", "Sign": "sign", "Signbit": "signbit",
    "Sin": "sin", "Cos": "cos", "Tan": "tan", "Sinh": "sinh", "Cosh": "cosh", "Arcsin": "asin", "Arccos": "acos",
    "Arctan": "atan", "Arcsinh": "asinh", "Arccosh": "acosh", "Arctanh": "atanh", "Sinc": "sinc", "Erf": "erf",
    "Erfc": "erfc", "Erfinv": "erfinv", "Floor": "floor", "Ceil": "ceil", "Round": "round", "Trunc": "trunc",
    "LogicalNot": "logical_not", "BitwiseNot": "bitwise_not", "BitwiseInvert": "bitwise_not", "Isnan": "isnan",
    "Isinf": "isinf", "Isfinite": "isfinite", "NanToNum": "nan_to_num", "Deg2rad": "deg2rad", "Rad2deg": "rad2deg",
    "Angle": "angle", "Real": "real", "Imag": "imag", "Cast": "cast", "SaturateCast": "cast",
}  # fmt: skip
KERAS_SEVERAL = {
    "Mod": "remainder", "Fmod": "fmod", "FloorDivide": "floor_divide", "DivideNoNan": "div", "Equal": "eq",
    "NotEqual": "ne", "Less": "lt", "LessEqual": "le", "Greater": "gt", "GreaterEqual": "ge",
    "LogicalAnd": "logical_and", "LogicalOr": "logical_or", "LogicalXor": "logical_xor", "BitwiseAnd": "bitwise_and",
    "BitwiseOr": "bitwise_or", "BitwiseXor": "bitwise_xor", "Arctan2": "atan2", "Hypot": "hypot", "Fmax": "fmax",
    "Fmin": "fmin", "Logaddexp": "logaddexp", "Logaddexp2": "logaddexp2", "Isclose": "isclose",
    "Heaviside": "heaviside", "Gcd": "gcd", "Lcm": "lcm", "Where": "where",
}  # fmt: skip
# Keras' activations by the names in its configurations; the first are layers of their own here, the others functions.
KERAS_ACTIVATIONS = {
    "relu": "relu", "relu6": "relu6", "elu": "elu", "selu": "selu", "celu": "celu", "silu": "silu", "swish": "silu",
    "mish": "mish", "sigmoid": "sigmoid", "tanh": "tanh", "softplus": "softplus", "gelu": "gelu",
    "hard_sigmoid": "hardsigmoid", "hard_silu": "hardswish", "hard_swish": "hardswish", "hard_tanh": "hardtanh",
    "leaky_relu": "leaky_relu",
}  # fmt: skip
KERAS_FUNCTIONS = {
    "exponential": "exp", "softsign": "softsign", "log_sigmoid": "log_sigmoid", "tanh_shrink": "tanhshrink",
    "soft_shrink": "softshrink", "hard_shrink": "hardshrink", "threshold": "threshold", "squareplus": "squareplus",
    "sparse_plus": "sparse_plus", "sparse_sigmoid": "sparse_sigmoid",
}  # fmt: skip
