"""What the zoo asks of each architecture, one check after the other.

A check gives a note, or raises: `Skip` with a reason that is not ours to mend, anything
else if it failed. Outputs of a file are compared with Keras in parts of their spread,
which is how far they lie from their mean over the samples: 1 would be a file that gives
the same for all inputs. (Where the model itself does that, as a deep one without
normalization can at 8 bits, in parts of the outputs.) Tolerances:

- float32, 0.001: the order of sums differs; a few hundred layers add up.
- dynamic and int8, 0.25: a few hundred layers of 8 bits add up, in networks of random
  weights, which are less robust than trained ones. Where a file is farther off, the
  converter's own file of the same model decides: ours may be a tenth worse.
- channels of zeros that are removed, 0.0001, where the same channels, cut without
  having been zeroed, change the outputs by at least 0.01.
"""

import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from channel_tools import zero_channels

import keras_prune_kit as kpk
from keras_prune_kit import _keras
from keras_prune_kit.channels import channel_groups, without
from keras_prune_kit.channels.costs import all_stay, costs_of, staying
from keras_prune_kit.channels.groups import members_of, traced
from keras_prune_kit.reports import percent
from keras_prune_kit.tflite import ExportError

BATCH = 16
STEPS = 8
TOLERANCES = {"none": 1e-3, "dynamic": 0.25, "int8": 0.25}
NO_WORSE = 1.1
SHARE = 0.3
# The tables of KerasHub that are left alone.
DENSE = {"position_embedding", "segment_embedding", "encoder_position_embedding"}
EXACT, CHANGED = 1e-4, 0.01
_OFFSET = 2.0
NOT_HALVED = "no channel could leave"
NOT_QUANTIZED = "not quantized"


class Skip(Exception):
    """There is a reason that a check cannot be done; the message has it."""


@dataclass
class Subject:
    """One architecture in one world, and what earlier checks made of it."""

    K: Any
    architecture: Any
    model: Any = None
    quantized: Any = None
    half: Any = None

    @property
    def sparsity(self):
        return self.architecture.sparsity

    def __post_init__(self):
        self.x = self.architecture.inputs(BATCH)

    def fresh(self):
        """Another one, untrained, that is as steady as a trained one.

        Normalizations learn what they see in a few steps. With offsets of 0 a deep
        network of random weights is chaotic, and tells nothing about 8 bits: each
        layer makes any error 1.2 times as large, even those of float32.
        """
        self.K.utils.set_random_seed(1)
        model = self.architecture.build(self.K)
        for layer in all_layers(model):
            if isinstance(layer, self.K.layers.BatchNormalization):
                layer.momentum = 0.3
                if layer.center:
                    layer.beta.assign(np.full(layer.beta.shape, _OFFSET))
        return model

    def fit(self, model, callbacks=(), steps=STEPS):
        """Trains on one batch, as often as there are steps."""
        model.compile(self.K.optimizers.Adam(1e-4), "mse")
        x = [np.concatenate([array] * steps) for array in as_list(self.x)]
        y = [self._targets(array, steps) for array in as_list(self.predict(model))]
        model.fit(
            *(items if len(items) > 1 else items[0] for items in (x, y)),
            batch_size=BATCH,
            shuffle=False,
            verbose=0,
            callbacks=list(callbacks),
        )

    def calibrated(self, model):
        """Normalizations see a few batches, without training."""
        for _ in range(STEPS):
            model(self.x, training=True)
        return model

    def predict(self, model):
        return model.predict(self.x, batch_size=BATCH, verbose=0)

    def saved_and_loaded(self, model):
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "model.keras")
            model.save(path)
            return self.K.models.load_model(path)

    def check_exact(self, model):
        """Each weight has its zeros; those that by default have none, have none."""
        kinds = (self.K.layers.DepthwiseConv1D, self.K.layers.DepthwiseConv2D)
        depthwise = [x.name for x in all_layers(model) if isinstance(x, kinds)]
        # A name of Keras 2 may have a slash.
        dense = {name.split("/")[-1] for name in depthwise} | DENSE
        for weight in kpk.sparsity_report(model).weights:
            is_dense = weight.path.split("/")[-2] in dense
            expected = 0 if is_dense else round(self.sparsity * weight.size)
            found = f"{weight.path}: {weight.zeros} zeros, not {expected}"
            assert weight.zeros == expected, found

    def _targets(self, outputs, steps):
        targets = np.random.default_rng(1).normal(size=outputs.shape)
        return np.concatenate([targets.astype("float32")] * steps)


def all_layers(model):
    """The layers of a model and of the models and layers in it."""
    return [found.layer for found in _keras.find_layers(model)]


def as_list(items):
    return list(items) if isinstance(items, list | tuple) else [items]


def error(expected, got):
    """How far outputs are off, in parts of their spread over the samples."""
    return max(
        _error(*pair) for pair in zip(as_list(expected), as_list(got), strict=True)
    )


def _error(expected, got):
    spread = _size(expected - expected.mean(0))
    return float(_size(expected - got) / (spread or _size(expected)))


def _size(values):
    return np.sqrt(np.mean(values**2))


def build(subject):
    subject.model = subject.fresh()
    return f"{subject.model.count_params():,} weights"


def prune(subject):
    """As many zeros as were asked for: after each step of `fit`, and at its end."""
    schedule = kpk.PolynomialDecay(0.0, subject.sparsity, end_step=STEPS // 2)
    pruning = kpk.PruningCallback(kpk.PrunePolicy(schedule), on_incomplete="raise")
    zeros = zeros_at_each_step(subject.K, subject.model)
    subject.fit(subject.model, [pruning, zeros])
    for step, found in enumerate(zeros.counts, 1):
        for path, (count, size) in found.items():
            least = round(schedule(step) * size)
            assert count == least, f"{path}, step {step}: {count} zeros, not {least}"
    assert len(zeros.counts) == STEPS
    subject.check_exact(subject.model)
    report = pruning.report
    return f"{percent(report.sparsity)} in {len(report.weights)} weights"


def zeros_at_each_step(K, model):
    """A callback that counts the zeros of each weight that a policy covers."""
    paths = {weight.path for weight in kpk.PrunePolicy(0.5).plan(model).weights}

    class Zeros(K.callbacks.Callback):
        counts = []

        def on_train_batch_end(self, batch, logs=None):
            weights = kpk.sparsity_report(self.model).weights
            found = {w.path: (w.zeros, w.size) for w in weights if w.path in paths}
            self.counts.append(found)

    return Zeros()


def reload(subject):
    """Saved and loaded, it is the same model."""
    loaded = _loaded(subject, subject.model)
    for old, new in zip(subject.model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    off = error(subject.predict(subject.model), subject.predict(loaded))
    assert off < TOLERANCES["none"], f"outputs are off by {off:.2g} of their spread"
    subject.check_exact(loaded)
    return ""


def _loaded(subject, model):
    try:
        return subject.saved_and_loaded(model)
    except Exception as failure:
        try:
            subject.saved_and_loaded(subject.fresh())
        except type(failure):
            raise Skip(f"Keras does not load the unpruned one: {failure}") from failure
        raise


def export(quantization):
    """A check that exports a file and compares it with the model."""

    def check(subject):
        samples = subject.x if quantization == "int8" else None
        file = exported(subject.model, quantization, samples)
        return compare(subject, subject.model, file, quantization)

    return check


def exported(model, quantization, samples=None):
    try:
        return kpk.export_tflite(
            model, quantization=quantization, representative_data=samples
        )
    except ExportError as failure:
        reason = str(failure.__cause__)
        if "gives no reason" in reason:
            raise
        raise Skip(reason) from failure


def compare(subject, model, file, quantization, pruned=None):
    """Checks the outputs of a file, and its zeros by a pruned model; notes both."""
    expected = subject.predict(model)
    off = error(expected, file.predict(subject.x))
    pruned = subject.model if pruned is None else pruned
    ours, found = kpk.sparsity_report(pruned), file.sparsity_report()
    note = f"off {off:.2g}, zeros {percent(found.sparsity)}"
    assert found.zeros >= ours.zeros, f"{note}: {found.zeros:,} of {ours.zeros:,} zeros"
    if off <= TOLERANCES[quantization]:
        return note
    plain = plain_file(model, quantization, subject.x)
    theirs = error(expected, plain.predict(subject.x))
    assert off <= NO_WORSE * theirs, f"{note}; the converter's own: off {theirs:.2g}"
    raise Skip(f"the converter's own file is off by {theirs:.2g}, ours by {off:.2g}")


def plain_file(model, quantization, x):
    """What the converter makes of a model without our help, at a batch of one."""
    arrays = as_list(x)
    specs = [tf.TensorSpec((1, *array.shape[1:]), array.dtype) for array in arrays]
    trace = tf.function(lambda *items: model(items if len(items) > 1 else items[0]))
    function = trace.get_concrete_function(*specs)
    # The converter does not find the variables of a Keras 3 model in it.
    holder = tf.Module()
    holder.captured = list(function.graph.variables)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], holder)
    if quantization != "none":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantization == "int8":
        converter.representative_dataset = lambda: (
            [array[i : i + 1] for array in arrays] for i in range(BATCH)
        )
    return kpk.TFLiteModel(converter.convert())


def quantize(subject):
    """Quantization-aware training of the pruned model, on Keras 3."""
    try:
        subject.quantized = kpk.quantize_aware(subject.model).model
    except ValueError as refusal:
        raise Skip(str(refusal)) from refusal
    subject.fit(subject.quantized, steps=STEPS // 2)
    return ""


def quantized_file(subject):
    if subject.quantized is None:
        raise Skip(NOT_QUANTIZED)
    file = exported(subject.quantized, "int8")
    return compare(subject, subject.quantized, file, "int8")


def tfmot_prune(subject):
    """TFMOT by itself: wrap the whole model, a few steps, strip."""
    import tensorflow_model_optimization as tfmot

    pruning = tfmot.sparsity.keras
    schedule = pruning.ConstantSparsity(subject.sparsity, 0, frequency=1)
    model = pruning.prune_low_magnitude(subject.fresh(), pruning_schedule=schedule)
    subject.fit(model, [pruning.UpdatePruningStep()], steps=STEPS // 2)
    sparsity = kpk.sparsity_report(pruning.strip_pruning(model)).sparsity
    assert sparsity > subject.sparsity - 0.05, f"{percent(sparsity)} zeros"
    return f"{percent(sparsity)}"


def tfmot_quantize(subject):
    """TFMOT by itself: quantize the whole model, a few steps."""
    import tensorflow_model_optimization as tfmot

    model = tfmot.quantization.keras.quantize_model(subject.fresh())
    subject.fit(model, steps=STEPS // 2)
    subject.quantized = model
    return ""


def tfmot_file(subject):
    """What TFMOT quantized becomes a file that computes the same."""
    if subject.quantized is None:
        raise Skip(NOT_QUANTIZED)
    file = plain_file(subject.quantized, "dynamic", subject.x)
    off = error(subject.predict(subject.quantized), file.predict(subject.x))
    assert off <= TOLERANCES["int8"], f"off {off:.2g}"
    return f"off {off:.2g}"


def remove_half(subject):
    """Half of the channels leave; what is left can be saved and loaded."""
    model = subject.fresh()
    try:
        small = kpk.remove_channels(model, 0.5)
    except ValueError as refusal:
        raise Skip(str(refusal)) from refusal
    before, after = (_costs(item) for item in (model, small))
    assert after.parameters == small.count_params()
    subject.calibrated(small)
    subject.half = small
    expected = subject.predict(small)
    off = error(expected, subject.predict(_loaded(subject, small)))
    assert off < EXACT, f"loaded, it is off by {off:.2g} of its spread"
    shares = (
        f"{before.macs / after.macs:.3g}x fewer MACs",
        f"{before.parameters / after.parameters:.3g}x fewer weights",
    )
    return ", ".join([*shares, *_what_stays(model)])


def half_files(subject):
    """What is left is exported in float32 and int8 and computes the same."""
    if subject.half is None:
        raise Skip(NOT_HALVED)
    notes = []
    for quantization, samples in (("none", None), ("int8", subject.x)):
        file = exported(subject.half, quantization, samples)
        note = compare(subject, subject.half, file, quantization, subject.half)
        notes.append(f"{quantization}: {note}")
    return "; ".join(notes)


def _costs(model):
    found = traced(model)
    return costs_of(found, all_stay(found))


def _what_stays(model):
    """How many channels cannot leave, by reason, but for the outputs."""
    counts = Counter()
    for group in channel_groups(model):
        if group.kept_because:
            counts[group.kept_because] += group.channels
        elif group.coupled_because:
            counts["only inexactly: " + group.coupled_because] += group.channels
    del counts["an output of the model"]
    return [f"{number} not ({reason})" for reason, number in counts.items()]


def remove_zeros(subject):
    """Channels that are zero leave, and the outputs are the same."""
    try:
        control = subject.fresh()
        found = traced(control)
    except ValueError as refusal:
        raise Skip(str(refusal)) from refusal
    for layer in all_layers(control):
        # It starts at 1e-6, with which nothing that is inside matters.
        if type(layer).__name__ == "LayerScale":
            layer.gamma.assign(np.ones(layer.gamma.shape))
    subject.calibrated(control)
    model = subject.fresh()
    model.set_weights(control.get_weights())
    zeroed = zero_channels(model, SHARE)
    if not len(zeroed):
        raise Skip(NOT_HALVED)
    subject.calibrated(model)
    small = kpk.remove_zero_channels(model)
    off = error(subject.predict(model), subject.predict(small))
    cut = without(found, staying(found, zeroed))
    changed = error(subject.predict(control), subject.predict(cut))
    left = sum(m.group.channels for m in members_of(traced(small)))
    channels = sum(m.group.channels for m in members_of(found))
    note = f"off {off:.1e}, otherwise {changed:.2g}; {left} of {channels} channels left"
    assert channels - left >= len(zeroed), f"{note}, of which {len(zeroed)} were zeroed"
    assert changed > CHANGED, note
    assert off < EXACT, note
    return note


OURS = {
    "build": build,
    "prune": prune,
    "reload": reload,
    "float32": export("none"),
    "dynamic": export("dynamic"),
    "int8": export("int8"),
    "half out": remove_half,
    "half files": half_files,
    "zeros out": remove_zeros,
}
CHECKS = {
    "keras": OURS | {"qat": quantize, "qat int8": quantized_file},
    "tf_keras": OURS
    | {
        "tfmot prune": tfmot_prune,
        "tfmot qat": tfmot_quantize,
        "tfmot int8": tfmot_file,
    },
}


def run(check, subject):
    """One check as a record: `status` and `note`."""
    try:
        return {"status": "passed", "note": check(subject)}
    except Skip as reason:
        return {"status": "skipped", "note": str(reason)}
    except Exception as failure:
        return {"status": "failed", "note": f"{type(failure).__name__}: {failure}"}
