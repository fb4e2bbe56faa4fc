"""DATA from a folder of pictures, one subfolder per class."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

from keras_prune_kit._tools.progress import track
from keras_prune_kit.cli.data.arrays import HELD_OUT, SEED, tell_held_out

# First bytes of each file format that Keras reads.
_STARTS = {
    ".bmp": b"BM",
    ".gif": b"GIF8",
    ".jpeg": b"\xff\xd8",
    ".jpg": b"\xff\xd8",
    ".png": b"\x89PNG",
}
_COLORS = {1: "grayscale", 3: "rgb", 4: "rgba"}


class PictureSource:
    """Pictures of a folder, read in batches by the `utils` of the model's own Keras.

    Args:
        folder: Folder with one subfolder of pictures per class.
        shape: Input shape of the model: `(n, height, width, channels)`.
        label_mode: `"int"`, `"categorical"` or `"binary"`, as in
            `image_dataset_from_directory`.
        utils: `keras.utils` or `tf_keras.utils`.
        batch_size: Pictures per batch.

    Attributes:
        classes: The names of the classes, in the order of their numbers.

    Raises:
        ValueError: If there is no class, a class has no picture, a file is not a
            picture, or the model's input is not a picture of known size.
    """

    def __init__(
        self,
        folder: str,
        shape: tuple[int | None, ...],
        *,
        label_mode: str,
        utils: Any,
        batch_size: int,
    ) -> None:
        self._folder = folder
        pictures = _pictures_by_class(Path(folder))
        _check_pictures(sum(pictures.values(), []))
        self._count = sum(map(len, pictures.values()))
        self.classes = tuple(pictures)
        self._utils = utils
        self._arguments = {
            **_size_and_color(shape, folder),
            "label_mode": label_mode,
            "batch_size": batch_size,
            # Keras requires one for a split of shuffled data.
            "seed": SEED,
        }

    @property
    def has_labels(self) -> bool:
        """True: the folders are the classes."""
        return True

    def training(self) -> Any:
        """Return batches that are reshuffled in each epoch."""
        return self._read()

    def validation(self) -> Any:
        """Return batches in the order of the files."""
        return self._read(shuffle=False)

    def test(self) -> Any:
        """Return batches in the order of the files."""
        return self._read(shuffle=False)

    def inputs(self) -> Any:
        """Return shuffled batches, so that calibration sees pictures of all classes."""
        return self._read()

    def split(self) -> tuple[Any, Any]:
        """Return training data, and a held-out tenth to choose the epoch with."""
        tell_held_out(self._count, self._folder)
        training, validation = self._read(validation_split=HELD_OUT, subset="both")
        return training, validation

    def _read(self, **arguments: Any) -> Any:
        # Keras prints the number of files to stdout, where `--json` prints JSON.
        with contextlib.redirect_stdout(io.StringIO()):
            return self._utils.image_dataset_from_directory(
                self._folder, **self._arguments, **arguments
            )


def _pictures_by_class(folder: Path) -> dict[str, list[Path]]:
    """Return the pictures of each class, in the order in which Keras numbers them."""
    classes = {
        # Keras also reads pictures in folders inside that of the class.
        path.name: [p for p in path.rglob("*") if p.suffix.lower() in _STARTS]
        for path in sorted(folder.iterdir())
        # Keras, too, takes no hidden folder for a class.
        if path.is_dir() and not path.name.startswith(".")
    }
    if not classes:
        raise ValueError(
            f"{folder} must contain one folder of pictures per class. Received: a "
            "folder without subfolders."
        )
    for name, pictures in classes.items():
        if not pictures:
            raise ValueError(
                f"The class folder {folder / name} must contain pictures "
                f"({', '.join(_STARTS)}). Received: none. Add some, or remove the "
                "folder."
            )
    return classes


def _check_pictures(paths: list[Path]) -> None:
    """Check first bytes early: an error during training would not name the file."""
    for path in track(paths, "checking pictures"):
        with path.open("rb") as file:
            start = file.read(8)
        # Any format for any extension: Keras too decodes a PNG that is named .jpg.
        if not start.startswith(tuple(_STARTS.values())):
            raise ValueError(
                f"{path} is not a picture that Keras can read. Remove or repair it."
            )


def _size_and_color(shape: tuple[int | None, ...], folder: str) -> dict[str, Any]:
    height, width, channels = shape[1:] if len(shape) == 4 else (None, None, None)
    if not height or not width or channels not in _COLORS:
        sizes = ", ".join("any" if size is None else str(size) for size in shape[1:])
        raise ValueError(
            f"The pictures in {folder} need a model whose input is (n, height, width, "
            f"channels), of known sizes. Received: a model whose input is (n, {sizes})"
            ". Pass arrays in an .npz instead."
        )
    return {"image_size": (height, width), "color_mode": _COLORS[channels]}
