"""Values that are wrong, or at least odd, for an argument."""

import math
from decimal import Decimal

import hypothesis
import hypothesis.strategies as st
import numpy as np

NUMBERS = st.one_of(
    st.sampled_from(
        [math.nan, math.inf, -math.inf, -1, 0, 1, 0.5, 1.5, -0.0, True, False]
        + [2**31, 2**63, -(2**63), 10**30, 1e308, 5e-324, 1 + 2j, Decimal("NaN")]
        + [np.float32("nan"), np.int64(-1), np.float16(0.5), np.bool_(True)]
    ),
    st.floats(),
    st.integers(-100, 100),
)
TEXTS = st.one_of(
    st.sampled_from(
        ["", " ", ".", "..", "\0", "\n", "%s", "{}", "[", "(?P<", "none", "\udc80"]
        + ["no such file", "missing/folder.png", "a" * 5000, "Ångström 模型.png"]
        + ["<script>alert(1)</script>", "model.keras", "model.tflite", "data.npz"]
    ),
    # No path of the machine can be made of these.
    st.text(st.characters(exclude_characters="/\\.~"), max_size=12),
)
KINDS = st.sampled_from(
    [None, b"", b"\0\xff", object(), [], {}, (), set(), lambda: None, len, int, ...]
    + [np, ValueError("as a value"), range(3), slice(None), iter([1]), bytearray(9)]
)
ARRAYS = st.sampled_from(
    [
        np.zeros(shape, dtype)
        for shape in [(), (0,), (3,), (32,), (8, 3), (32, 7), (0, 8), (4, 8, 1)]
        for dtype in ("float32", "int8", "bool", "O", "U3", "complex64")
    ]
    + [np.full((32, 8), value, "float32") for value in (math.nan, math.inf, 3e38)]
    + [np.full((8, 16), value, "float32") for value in (math.nan, math.inf)]
    + [np.full(32, value) for value in (-1, 99, 2**40)]
)


class Made:
    """A value that is made for one case: another in each world, or used up after it."""

    def __init__(self, name):
        self.name = name

    def __repr__(self):
        return f"<{self.name}>"


MADE = st.sampled_from(
    [Made(name) for name in ("unbuilt", "uncompiled", "not finite", "layer", "class")]
    + [Made(name) for name in ("generator", "other world", "dataset", "empty dataset")]
)
SINGLE = st.one_of(NUMBERS, TEXTS, KINDS, ARRAYS, MADE)
NESTS = st.one_of(
    st.lists(SINGLE, max_size=3),
    st.tuples(SINGLE),
    st.tuples(SINGLE, SINGLE),
    st.tuples(NUMBERS, NUMBERS),
    st.dictionaries(TEXTS, SINGLE, max_size=2),
)
ANY = st.one_of(NUMBERS, NUMBERS, TEXTS, KINDS, ARRAYS, MADE, NESTS)


def drawn(strategy, count, seed):
    """So many values of a strategy, the same for the same seed."""
    values = []

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=count,
        phases=[hypothesis.Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(strategy)
    def collect(value):
        values.append(value)

    collect()
    while len(values) < count:  # Where there are not so many different ones.
        values += values[: count - len(values)]
    return values[:count]
