"""The decision where a function of a model runs."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from keras_prune_kit import _keras
from keras_prune_kit.worker.client import client

Function = TypeVar("Function", bound=Callable[..., Any])


def on_tensorflow(function: Function) -> Function:
    """Run a function under TensorFlow, whichever backend its model is from.

    For a model of JAX or torch it runs in the child process, on a copy of the model
    that computes the same. What it returns, raises, warns, logs and prints is the same;
    a model in its result is of the caller's backend, and compiled as the given one.

    Args:
        function: A function of a module, whose first parameter is a built Keras model.
            Other arguments and the result can be pickled, or are models or datasets.
    """

    @functools.wraps(function)
    def run(model: Any, *args: Any, **kwargs: Any) -> Any:
        if _keras.backend_of(model) == "tensorflow":
            return function(model, *args, **kwargs)
        return client.call(run, model, args, kwargs)

    return run  # pyright: ignore[reportReturnType]
