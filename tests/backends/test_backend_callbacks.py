"""The other callbacks, files, and exact resume, on each backend."""

import re

import keras
import numpy as np
import pytest
from contract import STEPS, classifier, data, every_step, fit, kernels

import keras_prune_kit as kpk


class Distinct(keras.callbacks.Callback):
    """Counts the distinct values and zeros of each kernel after each batch."""

    def __init__(self):
        super().__init__()
        self.counts, self.means = [], []

    def on_train_batch_end(self, batch, logs=None):
        now = kernels(self.model)
        self.counts.append([len(np.unique(kernel)) for kernel in now])
        self.means.append([kernel.mean() for kernel in now])


@pytest.mark.parametrize("use_ema", [False, True])
def test_clusters_hold_at_every_step(use_ema):
    model, look = classifier(keras.optimizers.Adam(0.01, use_ema=use_ema)), Distinct()
    clustering = kpk.ClusteringCallback(6)
    fit(model, clustering, look, epochs=2)
    assert look.counts == [[6, 6, 6]] * 2 * STEPS
    means = np.array(look.means)
    assert (means[1:] != means[:-1]).all()  # It was trained.
    assert [w.distinct for w in clustering.report.weights] == [6, 6, 6]


def test_clusters_of_equal_weights_do_not_drift():
    """Sums of many equal values in float32 have an error of constant sign."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((300,)), keras.layers.Dense(300)])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    kernel = np.where(np.arange(90_000).reshape(300, 300) % 3 == 0, 0.1, -0.7)
    model.layers[0].kernel.assign(kernel)
    before = kernels(model)[0]
    x = np.zeros((40, 300), "float32")
    fit_once = {"batch_size": 1, "epochs": 1, "verbose": 0}
    model.fit(x, x, callbacks=[kpk.ClusteringCallback(2)], **fit_once)
    np.testing.assert_array_equal(kernels(model)[0], before)


def test_a_step_of_clusters_is_the_mean_step_of_their_members():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, use_bias=False)])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    values = np.array([0.5, -0.25, 0.0, 0.5, -0.25, 0.5, 0.0, 0.5], "float32")
    weight = values.reshape(4, 2)
    model.set_weights([weight])
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(4, 4)).astype("f"), rng.normal(size=(4, 2)).astype("f")
    options = {"batch_size": 4, "epochs": 1, "verbose": 0}
    model.fit(x, y, callbacks=[kpk.ClusteringCallback(3)], **options)
    free = weight - 0.1 * 2 * x.T @ (x @ weight - y) / y.size
    expected = np.zeros_like(weight)
    for value in (0.5, -0.25):
        expected[weight == value] = free[weight == value].mean()
    np.testing.assert_allclose(kernels(model)[0], expected, rtol=1e-5, atol=1e-6)


def test_clusters_keep_the_zeros_of_pruning():
    model, look = classifier(), Distinct()
    fit(model, kpk.PruningCallback(0.5), epochs=2)
    zeros = [kernel == 0 for kernel in kernels(model)]
    keep = kpk.PruningCallback(kpk.KeepZeros())
    fit(model, keep, kpk.ClusteringCallback(5), look, epochs=1)
    assert look.counts == [[5, 5, 5]] * STEPS
    for kernel, was_zero in zip(kernels(model), zeros, strict=True):
        assert ((kernel == 0) == was_zero).all()


class Killed(Exception):
    pass


class Kill(keras.callbacks.Callback):
    def __init__(self, step):
        super().__init__()
        self.left = step

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if self.left < 0:
            raise Killed


@pytest.mark.parametrize("schedule", [every_step(end=20), kpk.PrunePolicy(0.7)])
def test_a_killed_run_resumes_exactly(tmp_path, schedule):
    def run(folder, *more):
        model = classifier(keras.optimizers.Adam(0.01))
        callbacks = [kpk.BackupAndRestore(folder), kpk.PruningCallback(schedule)]
        fit(model, *callbacks, *more, epochs=4, shuffle=False)
        return kernels(model)

    whole = run(tmp_path / "whole")
    with pytest.raises(Killed):
        run(tmp_path / "cut", Kill(19))
    resumed = run(tmp_path / "cut")
    for expected, kernel in zip(whole, resumed, strict=True):
        np.testing.assert_array_equal(kernel, expected)


def test_the_best_epoch_at_the_target_is_saved(tmp_path):
    model, path = classifier(), tmp_path / "best.keras"
    best = kpk.TargetSparsityCheckpoint(path, monitor="val_loss")
    options = {"validation_data": data(), "epochs": 4}
    logs = fit(model, kpk.PruningCallback(every_step(end=14)), best, **options).history
    assert best.best == pytest.approx(min(logs["val_loss"][2:]))
    saved = keras.models.load_model(path)
    assert saved.evaluate(*data(), verbose=0)[0] == pytest.approx(best.best, rel=1e-4)
    for kernel in kernels(saved):
        assert np.mean(kernel == 0) == pytest.approx(0.8, abs=0.02)


def test_files_hold_nothing_of_the_pruner(tmp_path):
    """Neither masks nor classes, and the optimizer's state fits a plain model."""
    plain, model = classifier(), classifier()
    fit(plain, epochs=1)
    plain.save(tmp_path / "plain.keras")

    class Save(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 5:
                self.model.save(tmp_path / "during.keras")
                self.model.save_weights(tmp_path / "during.weights.h5")

    fit(model, kpk.PruningCallback(every_step(end=6)), Save(), epochs=1)
    loaded = keras.models.load_model(tmp_path / "during.keras")
    assert len(loaded.optimizer.variables) == len(plain.optimizer.variables)
    assert int(loaded.optimizer.iterations) == 6
    for variable, like in zip(
        loaded.optimizer.variables, plain.optimizer.variables, strict=True
    ):
        assert tuple(variable.shape) == tuple(like.shape)
    moments = [keras.ops.convert_to_numpy(v) for v in loaded.optimizer.variables[2:]]
    assert all((moment != 0).any() for moment in moments)
    assert np.mean(kernels(loaded)[0] == 0) == pytest.approx(0.8, abs=0.01)
    other = classifier()
    other.load_weights(tmp_path / "during.weights.h5")
    np.testing.assert_array_equal(kernels(other)[0], kernels(loaded)[0])
    # Nor does the model itself: it is saved as the plain one is.
    model.save(tmp_path / "after.keras")
    assert b"keras_prune_kit" not in (tmp_path / "after.keras").read_bytes()
    assert len(model.optimizer.variables) == len(plain.optimizer.variables)


def test_the_compressed_size_is_logged():
    model = classifier()
    logs = fit(model, kpk.PruningCallback(0.9), kpk.GzipSizeLogger(), epochs=4).history
    sizes = logs["gzip_bytes"]
    assert sizes[-1] == kpk.gzip_bytes(model)
    assert sizes[-1] < 0.75 * sizes[0]


def test_summaries_for_tensorboard(tmp_path):
    from tensorboard.backend.event_processing import event_accumulator

    model = classifier()
    pruning = kpk.PruningCallback(0.7)
    fit(model, pruning, kpk.SparsitySummaries(tmp_path), epochs=2)
    events = event_accumulator.EventAccumulator(str(tmp_path))
    events.Reload()
    tags = events.Tags()["scalars"]
    (tag,) = [t for t in tags if re.search("sparsity", t) and "hidden" in t]
    assert events.Scalars(tag)[-1].value == pytest.approx(0.7, abs=0.01)


def test_reports_and_plans():
    model = classifier()
    plan = kpk.PrunePolicy(0.5).plan(model)
    assert "hidden/kernel" in str(plan)
    fit(model, kpk.PruningCallback(0.5), epochs=1)
    report = kpk.sparsity_report(model)
    zeros = sum(int(np.sum(kernel == 0)) for kernel in kernels(model))
    assert sum(w.zeros for w in report.weights) == zeros


def test_the_base_under_lora_is_pruned_and_merged():
    model = classifier()
    fit(model, epochs=1)
    layer = model.layers[0]
    layer.enable_lora(2)
    model.compile(keras.optimizers.Adam(0.05), "sparse_categorical_crossentropy")
    policy = kpk.PrunePolicy(kpk.ConstantSparsity(0.5))
    with pytest.warns(kpk.LoraMergeWarning, match="hidden"):
        fit(model, kpk.PruningCallback(policy), epochs=2)
    base = keras.ops.convert_to_numpy(layer._kernel).copy()
    assert np.mean(base == 0) == 0.5
    first, second = (
        keras.ops.convert_to_numpy(v)
        for v in (layer.lora_kernel_a, layer.lora_kernel_b)
    )
    scale = layer.lora_alpha / layer.lora_rank
    total = base + scale * first @ second
    assert np.abs(total - base).max() > 0.01  # The adapter was trained.
    kpk.merge_lora(model)
    merged = keras.ops.convert_to_numpy(layer.kernel)
    np.testing.assert_allclose(merged, np.where(base == 0, 0, total), atol=1e-6)


def test_channels_leave_the_model():
    model = classifier()
    policy = kpk.PrunePolicy(kpk.ConstantSparsity(0.5), structure=kpk.Channel())
    fit(model, kpk.PruningCallback(policy), epochs=1)
    small = kpk.remove_zero_channels(model)
    x, _ = data()
    expected = model.predict(x, verbose=0)
    np.testing.assert_allclose(small.predict(x, verbose=0), expected, atol=1e-6)
    assert [k.shape for k in kernels(small)] == [(8, 12), (12, 4), (4, 3)]
