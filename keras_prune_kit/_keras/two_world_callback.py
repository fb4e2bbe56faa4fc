"""The base class of callbacks that serve both worlds."""

from __future__ import annotations

from keras.callbacks import Callback

from keras_prune_kit._tools.typed import Typed


class TwoWorldCallback(Typed, Callback):
    """A Keras 3 callback that `tf_keras` accepts, too.

    Keras 2 asks each callback which batch hooks it implements; Keras 3 callbacks lack
    these methods.
    """

    def _implements_train_batch_hooks(self) -> bool:
        return True

    def _implements_test_batch_hooks(self) -> bool:
        return False

    def _implements_predict_batch_hooks(self) -> bool:
        return False
