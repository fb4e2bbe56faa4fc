"""What goes wrong on the way to the child process, in it, or because of it."""

import os
import signal
import threading
import time
import warnings

import keras
import numpy as np
import pytest

import keras_prune_kit as kpk
from keras_prune_kit.worker.client import client
from other_backends import parts

X = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
Y = X[:, :2]


def built(*layers):
    model = keras.Sequential([keras.Input((4,)), *layers, keras.layers.Dense(2)])
    model.compile("adam", "mse", metrics=["mae"])
    return model


def compressed(model, data=(X, Y), **options):
    options = {"epochs": 1, "verbose": 0, "quantization": "none", **options}
    return kpk.compress(model, data, validation_data=(X, Y), **options)


@pytest.fixture(scope="module")
def model():
    return built(keras.layers.Dense(4, "relu"))


class Odd(keras.layers.Layer):
    pass


Odd.__module__ = "__main__"


def test_a_class_that_cannot_be_imported_is_named():
    class Local(keras.layers.Layer):
        pass

    for kind, name in ((Local, "Local of module"), (Odd, "Odd of module __main__")):
        with pytest.raises(ValueError, match=f"{name}.*Move it to a module"):
            kpk.export_tflite(built(kind()))

    def own(y_true, y_pred):
        return keras.ops.mean(y_true - y_pred, -1)

    model = built()
    model.compile("adam", "mse", metrics=[own])
    with pytest.raises(ValueError, match="function .*own of module"):
        compressed(model, objective="own", mode="min")
    with pytest.raises(ValueError, match="function .*<lambda> of module"):
        compressed(built(), callbacks=[parts.Shell(lambda: None)])


def test_two_classes_of_one_name_are_not_mixed_up():
    with pytest.raises(ValueError, match="two named Scaled. Rename one of them"):
        kpk.export_tflite(built(parts.Scaled(), parts.Inner.Scaled()))


def test_what_cannot_be_sent_is_refused(model):
    def batches():
        yield X, Y

    with pytest.raises(ValueError, match="A generator cannot be sent"):
        compressed(model, batches())
    with pytest.raises(ValueError, match="can be pickled: cannot pickle '_thread"):
        compressed(model, callbacks=[parts.Shell(threading.Lock())])


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="it needs torch here")
def test_a_layer_of_one_backend_alone_is_told():
    with pytest.raises(ValueError, match="must work on every backend"):
        kpk.export_tflite(built(parts.OfTorch()))


def test_errors_are_of_the_same_class_and_say_the_same(model):
    with pytest.raises(ValueError, match="Received: objective='no_such'") as caught:
        compressed(model, objective="no_such", mode="min")
    assert "in find" not in str(caught.value)
    assert "in the child process under TensorFlow" in str(caught.value.__cause__)
    half = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, dtype="float16")])
    with pytest.raises(kpk.ExportError, match="it computes in half precision"):
        kpk.export_tflite(half)


def test_warnings_logs_and_prints_arrive(model, caplog, capsys):
    with pytest.warns(DeprecationWarning, match="an old word") as caught:
        shell = parts.Shell(warnings.warn, "an old word", DeprecationWarning)
        compressed(model, callbacks=[shell, parts.Shell(print, "printed")])
    places = {str(item.message): item.filename for item in caught}
    assert places["an old word"] == parts.__file__
    assert "printed\n" in capsys.readouterr().out
    coarse = X * [1, 1, 1, 1e-3]
    kpk.export_tflite(model, quantization="int8", representative_data=coarse)
    assert "one scale for all of its columns" in caplog.text


def test_after_a_crash_the_next_call_starts_a_new_child(model):
    killer = parts.Shell(signal.raise_signal, signal.SIGKILL)
    with pytest.raises(RuntimeError, match="was killed by SIGKILL, as .* memory"):
        compressed(model, callbacks=[killer])
    wanted = model.predict(X, verbose=0)
    np.testing.assert_allclose(kpk.export_tflite(model).predict(X), wanted, atol=1e-6)


def test_ctrl_c_ends_the_child_too(model):
    kpk.export_tflite(model)
    child = client.child.process
    timer = threading.Timer(3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        compressed(model, callbacks=[parts.Shell(time.sleep, 60)])
    assert child.poll() is not None
    assert client.child is None


@pytest.mark.slow
def test_last_words_of_native_code_are_told(model):
    speaker = parts.Shell(os.write, 2, b"Check: no\n")
    quitter = parts.Shell(os._exit, 3)
    with pytest.raises(RuntimeError, match="exit code 3, .* words: Check: no"):
        compressed(model, callbacks=[speaker, quitter])
