"""What TensorBoard gets to see, read back from the event file."""

import sys

import models
import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import keras_prune_kit as kpk


def read_back(folder):
    """Each tag's value, epoch by epoch; of histograms the buckets."""
    keep_all = {"scalars": 0, "histograms": 0}
    events = EventAccumulator(str(folder), keep_all).Reload()
    tags = events.Tags()
    curves = {
        tag: {event.step: event.value for event in events.Scalars(tag)}
        for tag in tags["scalars"]
    }
    histograms = {
        tag: {event.step: event.histogram_value for event in events.Histograms(tag)}
        for tag in tags["histograms"]
    }
    return curves, histograms


@pytest.mark.parametrize("order", ["before", "after"])
def test_every_epoch_shows_each_weight_as_it_was(K, mlp, data, tmp_path, order):
    class Look(K.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append([kernel.copy() for kernel in self.model.get_weights()[::2]])

    seen = []
    ramp = kpk.PolynomialDecay(0.2, 0.75, end_step=8, frequency=1)
    pruning = kpk.PruningCallback(ramp)
    summaries = kpk.SparsitySummaries(tmp_path / "logs")
    callbacks = [summaries, pruning] if order == "before" else [pruning, summaries]
    mlp().fit(*data, epochs=3, verbose=0, callbacks=[*callbacks, Look()])

    curves, histograms = read_back(tmp_path / "logs")
    paths = ["hidden/kernel", "classifier/kernel"]
    assert set(curves) == {
        f"{kind}/{path}"
        for kind in ("sparsity", "target", "threshold")
        for path in paths
    }
    assert set(histograms) == {f"weights/{path}" for path in paths}
    for epoch, kernels in enumerate(seen):
        for path, kernel in zip(paths, kernels, strict=True):
            kept = kernel[kernel != 0]
            target = ramp(min(4 * (epoch + 1), 8))
            assert curves[f"target/{path}"][epoch] == pytest.approx(target)
            assert kernel.size - kept.size == round(target * kernel.size)
            assert curves[f"sparsity/{path}"][epoch] == pytest.approx(
                (kernel == 0).mean()
            )
            assert curves[f"threshold/{path}"][epoch] == np.abs(kept).min()
            histogram = histograms[f"weights/{path}"][epoch]
            assert (histogram.min, histogram.max) == (kept.min(), kept.max())
            assert sum(histogram.bucket) == kept.size


@pytest.mark.quick_in("keras")
def test_a_global_ranking_has_no_targets_by_layer(mlp, data, tmp_path):
    pruning = kpk.PruningCallback(kpk.PrunePolicy(0.5, scope="global"))
    summaries = kpk.SparsitySummaries(tmp_path)
    mlp().fit(*data, epochs=2, verbose=0, callbacks=[pruning, summaries])
    curves, _ = read_back(tmp_path)
    assert {tag.partition("/")[0] for tag in curves} == {"sparsity", "threshold"}


def test_a_loop_of_ones_own_writes_through_a_callback_list(K, tmp_path):
    model = models.sequential(K)
    summaries = kpk.SparsitySummaries(tmp_path)
    callbacks = K.callbacks.CallbackList([summaries], model=model)
    with kpk.Pruner(model, 0.75, steps_per_epoch=2, epochs=2) as pruner:
        callbacks.on_train_begin()
        for epoch in range(2):
            for _ in range(2):
                pruner.step()
            callbacks.on_epoch_end(epoch)
        callbacks.on_train_end()
    path = pruner.weights[0].path
    curves, _ = read_back(tmp_path)
    assert curves[f"sparsity/{path}"][1] == 0.75


def test_without_pruning_it_says_what_is_missing(mlp, data, tmp_path):
    summaries = kpk.SparsitySummaries(tmp_path)
    with pytest.raises(ValueError, match="needs a PruningCallback"):
        mlp().fit(*data, verbose=0, callbacks=[summaries])


def test_without_tensorboard_it_says_what_to_install(monkeypatch, tmp_path):
    for name in [n for n in sys.modules if n.partition(".")[0] == "tensorboard"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"keras-prune-kit\[tensorboard\]"):
        kpk.SparsitySummaries(tmp_path)
