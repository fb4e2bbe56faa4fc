"""Backbones of KerasHub, where it is installed: pruned, adapted, exported."""

import keras
import numpy as np
import pytest
from zoo_checks import CHECKS, Subject, run
from zoo_hub import HUB

import keras_prune_kit as kpk

keras_hub = pytest.importorskip("keras_hub")

NO_CHANNELS = {"half out", "half files", "zeros out"}
# Not ours to mend: Keras does not load or KerasHub does not copy it, pruned or not.
SKIPPED = {
    "GPT2Backbone": {"reload"} | NO_CHANNELS,
    "GemmaBackbone": {"reload"} | NO_CHANNELS,
    "LlamaBackbone": {"reload", "qat", "qat int8"} | NO_CHANNELS,
    "ViTBackbone": {"qat", "qat int8"} | NO_CHANNELS,
    "MobileNetBackbone": NO_CHANNELS,
    "EfficientNetBackbone": {"reload"},
}
LEFT_ALONE = {
    "BertBackbone": {"position_embedding", "segment_embedding"},
    "GPT2Backbone": {"position_embedding"},
    "ViTBackbone": {"position_embedding"},
    "WhisperBackbone": {"encoder_position_embedding", "position_embedding"},
}
# Those of Llama are not tied.
WORDS = dict.fromkeys(
    ["BertBackbone", "GPT2Backbone", "GemmaBackbone", "WhisperBackbone"], ["embeddings"]
)
WORDS["LlamaBackbone"] = ["embeddings", "reverse_embeddings"]


def backbone_of(model):
    kind = keras_hub.models.Backbone
    return next(layer for layer in model.layers if isinstance(layer, kind))


@pytest.mark.slow
@pytest.mark.parametrize("name", HUB)
def test_a_backbone_passes(name):
    subject, checks = Subject(keras, HUB[name]), CHECKS["keras"]
    results = {check: run(checks[check], subject) for check in checks}
    failed = {c: r["note"] for c, r in results.items() if r["status"] == "failed"}
    assert failed == {}
    skipped = {c for c, r in results.items() if r["status"] == "skipped"}
    assert skipped == SKIPPED.get(name, set())


@pytest.mark.parametrize("name", HUB)
def test_positions_and_segments_are_left_alone_and_words_are_not(name):
    plan = kpk.PrunePolicy(0.5).plan(HUB[name].build(keras))
    skipped = {
        skip.path.split("/")[-2]
        for skip in plan.skipped
        if "indexes positions or segments" in skip.reason
    }
    assert skipped == LEFT_ALONE.get(name, set())
    paths = [weight.path.split("/") for weight in plan.weights]
    words = [path[-1] for path in paths if path[-2] == "token_embedding"]
    assert words == WORDS.get(name, [])


@pytest.mark.parametrize("name", ["GemmaBackbone", "LlamaBackbone"])
def test_rotary_embeddings_are_exported_for_any_length(name):
    model = HUB[name].build(keras)
    file = kpk.export_tflite(model)
    for length in (6, 12):
        x = [array[:, :length] for array in HUB[name].inputs(4)]
        np.testing.assert_allclose(
            file.predict(x), model.predict(x, verbose=0), 0, 1e-5
        )


def test_tied_embeddings_are_pruned_and_counted_once():
    model = HUB["GPT2Backbone"].build(keras)
    with kpk.Pruner(model, kpk.PrunePolicy(kpk.ConstantSparsity(0.5))) as pruner:
        pass
    report = kpk.sparsity_report(model)
    tables = [w for w in report.weights if "token_embedding" in w.path]
    assert [(w.size, w.zeros) for w in tables] == [(800, 400)]
    assert [w.path for w in pruner.weights].count(tables[0].path) == 1
    table = np.asarray(backbone_of(model).token_embedding.embeddings)
    assert (table == 0).sum() == 400
    dense = HUB["GPT2Backbone"].build(keras)
    saved = kpk.gzip_bytes(dense) - kpk.gzip_bytes(model)
    assert 0.4 * 2 * report.size < saved < 4 * report.size
    file = kpk.export_tflite(model)
    in_file = [w.shape for w in file.sparsity_report().weights if w.size == 800]
    assert in_file == [(50, 16)]


def test_frozen_kernels_under_lora_are_exact_at_every_step():
    model = HUB["BertBackbone"].build(keras)
    backbone_of(model).enable_lora(2)
    x, y = HUB["BertBackbone"].inputs(16), np.zeros((16, 10))
    model.compile(keras.optimizers.Adam(0.01), "mse")
    counts = []

    class Zeros(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            found = kpk.sparsity_report(self.model).weights
            counts.append([w.zeros for w in found if "/query/" in w.path])

    pruning = kpk.PruningCallback(kpk.PrunePolicy(kpk.ConstantSparsity(0.5)))
    with pytest.warns(kpk.LoraMergeWarning, match="query/kernel"):
        model.fit(x, y, 8, 2, 0, callbacks=[pruning, Zeros()])
    assert counts == [[128, 128]] * 4
    planned = {weight.path.split("/")[-2] for weight in pruning.report.weights}
    assert planned == {"query", "value", "head"}  # KerasHub freezes all others.
    kpk.merge_lora(model)
    file = kpk.export_tflite(model)
    assert file.sparsity_report().zeros >= 4 * 128
    np.testing.assert_allclose(file.predict(x), model.predict(x, verbose=0), 0, 1e-5)


def sentence_encoder(outliers):
    """Mean-pooled BERT, in whose inner layers two dimensions are much larger."""
    backbone = keras_hub.models.BertBackbone(
        vocabulary_size=200,
        num_layers=3,
        num_heads=4,
        hidden_dim=64,
        intermediate_dim=128,
        max_sequence_length=16,
    )
    rng = np.random.default_rng(0)
    for weight in backbone.weights:
        if len(weight.shape) > 1:
            scale = 0.5 if "embed" in weight.path else 0.15
            weight.assign(scale * rng.normal(size=weight.shape))
    for number in range(2):
        layer = backbone.get_layer(f"transformer_layer_{number}")
        kernel = np.array(layer._feedforward_output_dense.kernel)
        kernel[:, :2] *= outliers
        layer._feedforward_output_dense.kernel.assign(kernel)
    names = ("token_ids", "segment_ids", "padding_mask")
    inputs = {name: keras.Input((16,), dtype="int32", name=name) for name in names}
    hidden = backbone(inputs)["sequence_output"]
    mask = keras.ops.cast(inputs["padding_mask"], "bool")
    pooled = keras.layers.GlobalAveragePooling1D()(hidden, mask=mask)
    return keras.Model(list(inputs.values()), pooled)


def sentences(seed, count=64):
    """Token ids, segments and padding masks of sentences of 4 to 16 words."""
    rng = np.random.default_rng(seed)
    kept = (np.arange(16) < rng.integers(4, 17, (count, 1))).astype("int32")
    words = rng.integers(1, 200, kept.shape).astype("int32")
    return [words * kept, np.zeros_like(kept), kept]


@pytest.mark.parametrize(("outliers", "least"), [(1, 0.99), (50, 0.95)])
def test_a_sentence_encoder_with_padding_points_the_same_way_in_int8(outliers, least):
    model = sentence_encoder(outliers)
    file = kpk.export_tflite(
        model, quantization="int8", representative_data=sentences(1)
    )
    held_out = sentences(2)
    wanted, got = model.predict(held_out, verbose=0), file.predict(held_out)
    norms = np.linalg.norm(wanted, axis=1) * np.linalg.norm(got, axis=1)
    assert ((wanted * got).sum(1) / norms).mean() > least
