"""Parts of models that a child process can import."""

import keras
from keras import ops


class Scaled(keras.layers.Layer):
    """A layer of a user's own that is not registered with Keras."""

    def __init__(self, factor=2.0, **options):
        super().__init__(**options)
        self.factor = factor

    def call(self, inputs):
        return self.factor * inputs

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


@keras.saving.register_keras_serializable(package="checks")
class Shifted(keras.layers.Layer):
    """A layer that is registered."""

    def call(self, inputs):
        return inputs + 1.0


def bent(inputs):
    """Activation that only its name stands for in a file."""
    return ops.maximum(inputs, 0.1 * inputs)


def halved(inputs):
    """Function of a Lambda layer."""
    return inputs / 2.0


def squared_error(y_true, y_pred):
    """Loss of a user's own."""
    return ops.mean(ops.square(y_true - y_pred), -1)


def worst_error(y_true, y_pred):
    """Metric of a user's own."""
    return ops.max(ops.abs(y_true - y_pred), -1)


class Diary(keras.callbacks.Callback):
    """A callback that writes to a file."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    def on_epoch_end(self, epoch, logs=None):
        with open(self.path, "a") as file:
            file.write(f"{keras.backend.backend()} {epoch} {sorted(logs)}\n")


class Shell(keras.callbacks.Callback):
    """A callback that does what a test needs to happen in the child process."""

    def __init__(self, function, *arguments):
        super().__init__()
        self.function = function
        self.arguments = arguments

    def on_epoch_end(self, epoch, logs=None):
        self.function(*self.arguments)


class OfTorch(keras.layers.Layer):
    """A layer that only torch can compute."""

    def call(self, inputs):
        import torch

        return torch.relu(inputs)


class Inner:
    """A place for a second class of the same name."""

    class Scaled(Scaled):
        """A layer that only its place tells apart from the other."""
