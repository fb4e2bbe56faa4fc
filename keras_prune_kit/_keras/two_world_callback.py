"""What makes one callback class serve both worlds."""

from __future__ import annotations

from keras.callbacks import Callback


class TwoWorldCallback(Callback):
    """A Keras 3 callback that `tf_keras` models take too.

    Keras 2 asks each callback which batch hooks it implements.
    """

    def _implements_train_batch_hooks(self) -> bool:
        return True

    def _implements_test_batch_hooks(self) -> bool:
        return False

    def _implements_predict_batch_hooks(self) -> bool:
        return False
