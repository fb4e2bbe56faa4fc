"""Work on a model between a start and an end, also as a `with` block."""

from __future__ import annotations

import abc
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Self


class Engine(abc.ABC):
    """An object that works on a model while something else trains it.

    In a `with` block it starts at the beginning and checks its result at the end; after
    an error it only lets go of the model.

    Attributes:
        model: The model.
    """

    model: Any
    _own_optimizer: Any = None

    @property
    def _optimizer(self) -> Any:
        """The optimizer that trains the model, or `None` if it is not known."""
        return self._own_optimizer or getattr(self.model, "optimizer", None)

    @abc.abstractmethod
    def start(self) -> None:
        """Begin to work on the model."""

    @abc.abstractmethod
    def finalize(self) -> object:
        """Check the result and let go of the model."""

    @abc.abstractmethod
    def detach(self) -> None:
        """Let go of the model without a check."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.finalize()
        else:
            self.detach()
