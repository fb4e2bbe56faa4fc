"""The progress of a job in a notebook."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace

from keras_prune_kit._keras.stage_progress import StageProgress
from keras_prune_kit._tools import progress
from keras_prune_kit._tools.notebook_line import NotebookLine, in_notebook
from keras_prune_kit.compression.recipe import Recipe


@contextlib.contextmanager
def shown_stages(recipe: Recipe) -> Iterator[Recipe]:
    """Show the stages of a job as one line if it runs in a notebook.

    Args:
        recipe: The job.

    Yields:
        The job with nothing else to show, or as it is: elsewhere, and if the user
        chose an output of `fit`.
    """
    if recipe.verbose != "auto" or not in_notebook():
        yield recipe
        return
    line = NotebookLine()
    heard = [*recipe.callbacks, StageProgress()]
    with progress.listening(line.stage, line.tell):
        yield replace(recipe, callbacks=heard, verbose=0)
    line.finish()
