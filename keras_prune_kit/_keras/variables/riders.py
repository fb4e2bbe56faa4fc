"""Variables that ride in the state of an optimizer, and are not saved with it.

`Optimizer.stateless_apply` maps the variables of the optimizer to the arguments of a
JAX train step, and applies constraints under this mapping. So a variable that a
constraint reads, and that is among the optimizer's, may change between steps, and
nothing is compiled anew.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Iterator
from typing import Any

from keras_prune_kit._keras.models import inner_optimizer

_FILING = ("save_own_variables", "load_own_variables")

_riders: weakref.WeakKeyDictionary[Any, list[Any]] = weakref.WeakKeyDictionary()


def riders_of(optimizer: Any) -> list[Any]:
    """Return the variables that ride in an optimizer, which may be a wrapper of one."""
    inner = inner_optimizer(optimizer)
    return [] if inner is None else _riders.get(inner, [])


def add(optimizer: Any, variable: Any) -> None:
    """Put a variable at the end of an optimizer's."""
    inner = inner_optimizer(optimizer)
    if inner not in _riders:
        _riders[inner] = []
        for each in _with_inner(optimizer):
            for name in _FILING:
                # On the object, for as long as there are riders.
                vars(each)[name] = _without_riders(inner, getattr(each, name))
    _riders[inner].append(variable)
    inner._variables.append(variable)


def remove(optimizer: Any, variable: Any) -> None:
    """Take a variable out of an optimizer's, if it is among them."""
    inner = inner_optimizer(optimizer)
    riders = _riders.get(inner, [])
    if not _drop(riders, variable):
        return
    _drop(inner._variables, variable)
    if not riders:
        del _riders[inner]
        for each in _with_inner(optimizer):
            for name in _FILING:
                vars(each).pop(name, None)


def _with_inner(optimizer: Any) -> Iterator[Any]:
    """Yield the optimizer, and the one that it wraps for loss scaling."""
    yield optimizer
    if inner_optimizer(optimizer) is not optimizer:
        yield inner_optimizer(optimizer)


def _without_riders(inner: Any, method: Any) -> Any:
    """Return a method of an optimizer that sees it without its riders."""

    @functools.wraps(method)
    def file(store: Any) -> Any:
        riders = riders_of(inner)
        everything = list(inner._variables)
        inner._variables[:] = [v for v in everything if not _has(riders, v)]
        try:
            return method(store)
        finally:
            inner._variables[:] = everything

    return file


# By identity: `==` of two variables compares their values.
def _has(variables: list[Any], variable: Any) -> bool:
    return any(each is variable for each in variables)


def _drop(variables: list[Any], variable: Any) -> bool:
    """Remove a variable from a list; return False if it is not in it."""
    for index, each in enumerate(variables):
        if each is variable:
            del variables[index]
            return True
    return False
