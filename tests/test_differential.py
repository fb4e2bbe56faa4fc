"""Ordinary models: copies, reports and files against Keras and LiteRT by themselves.

Each model of the catalogue trains once in each world, and all checks look at it;
`independent.py` says what is right, without anything of the package.
"""

import functools
import re
from collections import Counter

import independent
import numpy as np
import pytest
import tensorflow as tf
from ordinary_models import CATALOGUE

import keras_prune_kit as kpk
from keras_prune_kit import _keras

POLICY = 0.5
_MOST_TEXT = 800  # Keras tells whole stacks.
# Half of the catalogue, with all kinds of models in it; the other half is slow.
QUICK = set(
    """
    adapted_normalization augmentation_and_rescaling category_encoding
    causal_convolution dict_inputs dict_outputs dot_and_additive_attention
    feature_space frozen_base frozen_normalization hashing integer_lookup
    lambda_with_a_closure list_outputs_of_two_kinds masked_softmax nested_functional
    one_output_in_a_dict one_tensor_twice own_functions own_layer
    own_layer_without_config own_loss own_metric own_train_step stateful_rnn
    string_lookup subclassed text_vectorization_inside tied_autoencoder
    tied_embeddings two_heads_in_a_model
    """.split()
)
# Whose reports are quick too: that takes a training more. Reports differ in outputs,
# inputs, metrics, what is frozen or shared, how it trains, and where a file is refused.
QUICK_REPORTS = set(
    """
    dict_inputs feature_space frozen_base hashing integer_lookup
    list_outputs_of_two_kinds own_metric own_train_step string_lookup subclassed
    text_vectorization_inside tied_embeddings
    """.split()
)
PARTS = {"files": QUICK, "report": QUICK_REPORTS}
CASES = [
    pytest.param(
        world,
        name,
        part,
        id=f"{name}-{world}-{part}",
        marks=[] if name in quick and world == entry.worlds[0] else pytest.mark.slow,
    )
    for name, entry in CATALOGUE.items()
    for world in entry.worlds
    for part, quick in PARTS.items()
]


def test_the_quick_ones_are_in_the_catalogue():
    assert set(CATALOGUE) >= QUICK >= QUICK_REPORTS and len(QUICK) >= 30


@functools.lru_cache(maxsize=1)  # Both parts look at one model, one after the other.
def trained(K, name):
    return CATALOGUE[name].build(K)


@pytest.mark.parametrize(("K", "name", "part"), CASES, indirect=["K"])
def test_an_ordinary_model(K, name, part, tmp_path, caplog):
    checks = Checks(K, CATALOGUE[name], trained(K, name), tmp_path, caplog)
    parts = {
        "files": [
            checks.it_has_learned,
            checks.its_copy_is_the_model,
            checks.its_float_file_is_the_model,
            checks.its_int8_file_is_as_good,
        ],
        "report": [checks.its_report_is_true],
    }
    problems = []
    for check in (*parts[part], checks.it_is_left_as_it_was):
        try:
            check()
        except Exception as error:
            text = f"{check.__name__}: {type(error).__name__}: {error}"
            problems.append(text[:_MOST_TEXT])
    if problems:
        pytest.fail("\n\n".join(problems), pytrace=False)


class Checks:
    """What holds of each model.

    Args:
        K: The world.
        entry: What the catalogue says about the model.
        subject: The model, trained.
        folder: For its files.
        log: What the package says.
    """

    def __init__(self, K, entry, subject, folder, log):
        self.K, self.entry, self.folder, self.log = K, entry, folder, log
        self.told = entry.told.get(K.__name__)
        self.subject = subject
        self.said = self.predict(subject.model)

    def it_has_learned(self):
        """Or the comparisons would mean nothing."""
        for metric, score in self.subject.scores.items():
            missing = score.missing(self.subject.y, self.said)
            by_chance = score.missing_by_chance(self.subject.y, self.said)
            assert missing < 0.4 * by_chance, f"{metric}: {missing}, {by_chance}"

    def its_copy_is_the_model(self):
        copy = _keras.clone(self.subject.model)
        assert_same(self.predict(copy), self.said)

    def its_float_file_is_the_model(self):
        path = self.file_of("none")
        if path:
            found = independent.tflite_outputs(path, self.subject.x, self.said)
            for a, b in zip(flat(found), flat(self.said), strict=True):
                assert np.abs(a - b).max() <= 1e-4 * np.ptp(b)

    def its_int8_file_is_as_good(self):
        self.log.clear()
        path = self.file_of("int8")
        if path and self.told:
            assert re.search(self.told, self.log.text)
        elif path:
            self.assert_as_good(self.said, self.run(path))

    def its_report_is_true(self):
        """Each row, by the files that it wrote."""
        if self.refusal("none"):
            with pytest.raises(kpk.ExportError, match=self.refusal("none")):
                self.compress("none")
            return
        quantization = "none" if self.refusal("int8") else "int8"
        report = self.compress(quantization)
        report.model.save(self.folder / "pruned.keras")
        report.tflite.save(self.folder / "model.tflite")
        outputs = {
            "baseline": self.said,
            "dense file": self.run(self.file_of(quantization)),
            "pruned": self.predict(self.loaded(report)),
            "pruned file": self.run(self.folder / "model.tflite"),
        }
        right = {name: self.scored(p) for name, p in outputs.items()}
        rows = [dict(stage.scores) for stage in report.stages]
        told = dict(zip(outputs, rows, strict=True))
        assert told == {n: pytest.approx(s, abs=1e-3) for n, s in right.items()}
        assert_sparsity(report, self.loaded(report), self.folder / "model.tflite")
        assert_frozen(report.model, self.subject.model)
        if not self.told:
            self.assert_as_good(outputs["pruned"], outputs["pruned file"])

    def it_is_left_as_it_was(self):
        assert_same(self.predict(self.subject.model), self.said)

    def predict(self, model):
        for layer in model.layers:
            if isinstance(layer, self.K.layers.RNN) and layer.stateful:
                layer.reset_states()
        return model.predict(self.subject.x, verbose=0)

    def scored(self, predictions):
        scores = self.subject.scores
        return {name: scores[name](self.subject.y, predictions) for name in scores}

    def refusal(self, quantization):
        return self.entry.refusal(self.K.__name__, quantization)

    def file_of(self, quantization):
        """The path of a file of the model, or None if it is refused for good reason."""
        refusal = self.refusal("none") or self.refusal(quantization)
        path = self.folder / f"{quantization}.tflite"
        data = None if quantization == "none" else self.subject.representative
        options = {"quantization": quantization, "representative_data": data}
        if refusal:
            with pytest.raises(kpk.ExportError, match=refusal):
                kpk.export_tflite(self.subject.model, **options)
            return None
        kpk.export_tflite(self.subject.model, path, **options)
        return path

    def run(self, path):
        return independent.tflite_outputs(path, self.subject.x, self.said)

    def compress(self, quantization):
        data = None if quantization == "none" else self.subject.representative
        return kpk.compress(
            self.subject.model,
            self.subject.train,
            validation_data=self.subject.held,
            policy=POLICY,
            epochs=2,
            quantization=quantization,
            representative_data=data,
            verbose=0,
        )

    def loaded(self, report):
        """The model that the report wrote; the one it holds if Keras cannot load it."""
        if not self.entry.loads:
            return report.model
        return independent.keras_file(
            self.K, self.folder / "pruned.keras", self.subject.objects
        )

    def assert_as_good(self, before, after):
        """Accuracies within 0.02; errors, of the error of unrelated answers."""
        for metric, score in self.subject.scores.items():
            y = self.subject.y
            limit = 0.02 * (score.missing_by_chance(y, before) if score.is_error else 1)
            assert score(y, after) == pytest.approx(score(y, before), abs=limit), metric


def assert_same(found, right):
    """To the bit, names and order included."""
    assert type(found) is type(right)
    if isinstance(right, dict):
        assert set(found) == set(right)
        found = {key: found[key] for key in right}
    for a, b in zip(flat(found), flat(right), strict=True):
        np.testing.assert_array_equal(a, b)


def assert_sparsity(report, model, path):
    """What the report says of zeros is what the files have."""
    pruned = report.sparsity_report.weights
    assert pruned
    # One ranking of all: the sum is given, not the share of each.
    counts = [round(POLICY * weight.size) for weight in pruned]
    assert sum(weight.zeros for weight in pruned) == sum(counts)
    arrays = map(np.asarray, model.get_weights())
    stored = Counter((array.shape, int(np.sum(array == 0))) for array in arrays)
    for told in (pruned, report.stages[2].weights.weights):
        assert Counter((weight.shape, weight.zeros) for weight in told) <= stored
    told = report.final.weights.weights
    in_file = Counter(independent.tflite_zeros(path))
    assert Counter((w.path, w.size, w.zeros) for w in told) <= in_file
    assert sum(w.zeros for w in told) >= sum(w.zeros for w in pruned)


def assert_frozen(found, right):
    """Layers that do not train do not train in the copy, nor change."""
    for copy, layer in zip(found.layers, right.layers, strict=True):
        assert copy.trainable == layer.trainable, layer.name
        if not layer.trainable:
            for a, b in zip(copy.get_weights(), layer.get_weights(), strict=True):
                np.testing.assert_array_equal(a, b)


def flat(nest):
    return tf.nest.flatten(nest)
