"""The state of a process that a call in another process needs to be the same."""

from __future__ import annotations

import logging
import os
import random
import sys
from dataclasses import dataclass
from typing import Any

import keras

from keras_prune_kit._tools import progress

_SETTINGS = ("floatx", "epsilon", "image_data_format")
# They speak of how TensorFlow is used, which is not the user's doing.
_CHATTERERS = ("absl", "tensorflow")
LOGGER = logging.getLogger("keras_prune_kit")


@dataclass(frozen=True)
class Surroundings:
    """The state of a process.

    Attributes:
        folder: The folder for files of a call.
        cwd: The current folder.
        path: `sys.path`.
        seed: A seed that follows from the state of `random`.
        log_level: The level of this package's logger.
        is_terminal: True if the streams are a terminal, where progress bars move.
        is_heard: True if somebody listens to the stages of jobs.
        settings: Global settings of Keras by name.
    """

    folder: str
    cwd: str
    path: tuple[str, ...]
    seed: int
    log_level: int
    is_terminal: bool
    is_heard: bool
    settings: dict[str, Any]

    @classmethod
    def current(cls, folder: str) -> Surroundings:
        """Return the state of this process."""
        twin = random.Random()
        # A copy, as a call must not move the user's random numbers on.
        twin.setstate(random.getstate())
        return cls(
            folder=folder,
            cwd=os.getcwd(),
            path=tuple(map(os.fspath, sys.path)),
            seed=twin.getrandbits(31),
            log_level=LOGGER.getEffectiveLevel(),
            is_terminal=sys.stdout.isatty(),
            is_heard=progress.is_heard(),
            settings={name: getattr(keras.config, name)() for name in _SETTINGS},
        )

    def adopt(self) -> None:
        """Bring this process into the state."""
        os.chdir(self.cwd)
        sys.path[:] = self.path
        LOGGER.setLevel(self.log_level)
        for name in _CHATTERERS:
            logging.getLogger(name).setLevel(logging.ERROR)
        keras.utils.clear_session()
        keras.utils.set_random_seed(self.seed)
        for name, value in self.settings.items():
            getattr(keras.config, f"set_{name}")(value)
