"""Policies: which rule decides, what is skipped and why, and the way through JSON."""

import json

import models
import numpy as np
import pytest

import keras_prune_kit as kpk


def planned(model, policy):
    return {weight.path: weight for weight in policy.plan(model).weights}


def test_default_covers_kernels_and_nothing_else(K):
    plan = kpk.PrunePolicy(0.8).plan(models.convolutional(K))
    attributes = [weight.path.partition("/")[2] for weight in plan.weights]
    assert attributes == ["kernel", "pointwise_kernel", "kernel", "kernel"]
    reasons = " ".join(skip.reason for skip in plan.skipped)
    assert "normalization" in reasons
    assert "depthwise" in reasons


def test_recurrent_weights_belong_to_the_layer_that_a_person_named(K):
    paths = planned(models.recurrent(K), kpk.PrunePolicy(0.5))
    assert len(paths) == 2 * 2 + 2 + 1 + 2
    assert sum("/forward_lstm" in path for path in paths) == 2
    assert not any("cell" in path for path in paths)


def test_the_last_matching_rule_wins(K):
    rules = [
        kpk.Rule("dense.*", 0.3),
        kpk.Rule("dense", 0.6),
        kpk.Rule("nothing|dense", 0.4),
    ]
    model = K.Sequential([K.layers.Input((8,)), K.layers.Dense(4, name="dense")])
    weight = planned(model, kpk.PrunePolicy(0.8, rules))["dense/kernel"]
    assert weight.schedule.final_sparsity == 0.4
    assert "nothing|dense" in weight.reason


def test_none_keeps_a_layer_dense(K):
    plan = kpk.PrunePolicy(0.8, [kpk.Rule("outside", None)]).plan(models.nested(K))
    assert [weight.path for weight in plan.weights] == ["encoder/inside/kernel"]
    assert plan.skipped[0].path == "outside/kernel"
    assert "skipped outside/kernel: rule 'outside' keeps it dense" in str(plan)


def test_a_rule_covers_all_that_is_inside(K):
    plan = kpk.PrunePolicy(0.8, [kpk.Rule("encoder", 0.3)]).plan(models.nested(K))
    finals = [weight.schedule.final_sparsity for weight in plan.weights]
    assert finals == [0.3, 0.8]


def test_a_float_rule_keeps_the_timing_of_the_policy(K):
    ramp = kpk.CosineDecay(0.5, 0.9, 3, 30, frequency=7)
    policy = kpk.PrunePolicy(ramp, [kpk.Rule("outside", 0.6)])
    weight = planned(models.nested(K), policy)["outside/kernel"]
    assert weight.schedule == kpk.CosineDecay(0.5, 0.6, 3, 30, frequency=7)


@pytest.mark.parametrize("kind", ["class", "callable", "list", "weight path"])
def test_every_kind_of_match(K, kind):
    match = {
        "class": K.layers.Dense,
        "callable": lambda layer: layer.name in ("inside", "outside"),
        "list": ["inside", "encoder/inside", "outside"],
        "weight path": ".*/kernel",
    }[kind]
    plan = kpk.PrunePolicy(0.8, [kpk.Rule(match, 0.25)]).plan(models.nested(K))
    finals = [weight.schedule.final_sparsity for weight in plan.weights]
    assert finals == [0.25, 0.25]


def test_a_class_rule_takes_subclasses(K):
    plan = kpk.PrunePolicy(0.8, [kpk.Rule(K.layers.Dense, 0.25)]).plan(
        models.dense_subclass(K)
    )
    assert [weight.schedule.final_sparsity for weight in plan.weights] == [0.25] * 2


def test_depthwise_kernels_only_on_demand(K):
    model = models.convolutional(K)
    everything = kpk.PrunePolicy(0.8, [kpk.Rule(".*", 0.5)])
    assert not any("depthwise_conv2d" in path for path in planned(model, everything))
    by_class = kpk.PrunePolicy(0.8, [kpk.Rule(K.layers.DepthwiseConv2D, 0.5)])
    assert any("depthwise_conv2d" in path for path in planned(model, by_class))


@pytest.mark.parametrize(
    ("match", "is_named"),
    [(".*/kernel", False), (".*conv.*", False), (".*depthwise.*", True)],
)
def test_depthwise_kernels_are_named_by_what_covers_nothing_else(K, match, is_named):
    paths = planned(
        models.convolutional(K), kpk.PrunePolicy(0.8, [kpk.Rule(match, 0.5)])
    )
    assert any("depthwise_conv2d" in path for path in paths) is is_named


def test_shared_layers_count_once(K):
    assert len(planned(models.shared(K), kpk.PrunePolicy(0.8))) == 2


def test_unknown_layers_are_skipped_with_a_reason(K):
    (skip,) = kpk.PrunePolicy(0.8).plan(models.unknown_layer(K)).skipped
    assert skip.path == "mystery"
    assert "get_prunable_weights" in skip.reason


def test_planning_leaves_the_model_alone(K):
    model = models.sequential(K)
    before = [weight.copy() for weight in model.get_weights()]
    kpk.PrunePolicy(0.8).plan(model)
    assert all(map(np.array_equal, before, model.get_weights()))
    assert model.layers[0].kernel.constraint is None


def test_a_plan_prints_as_a_table_of_80_columns(K):
    text = str(kpk.PrunePolicy(0.8).plan(models.attention(K)))
    assert "multi_head_attention" in text
    assert max(map(len, text.splitlines())) <= 80


def test_einsum_kernels_are_seen_as_inputs_by_outputs(K):
    """A head's inputs are its own axis: 2 of 4 must run along the contracted one."""
    rules = [kpk.Rule(K.layers.Dense, None)]
    policy = kpk.PrunePolicy(kpk.ConstantSparsity(0.5), rules, structure=kpk.NofM(2, 4))
    model = models.attention(K)
    with kpk.Pruner(model, policy):
        pass
    query = model.layers[1]._query_dense.kernel
    kernel = np.asarray(
        K.ops.convert_to_numpy(query) if K.__name__ == "keras" else query.numpy()
    )
    groups = kernel.reshape(2, 4, -1)
    assert ((groups != 0).sum(axis=1) == 2).all()


def test_transposed_convolutions_have_inputs_last(K):
    layers = [K.layers.Conv2DTranspose(5, 3), K.layers.Conv2D(2, 1)]
    model = K.Sequential([K.layers.Input((4, 4, 6)), *layers])
    policy = kpk.PrunePolicy(kpk.ConstantSparsity(0.4), structure=kpk.Channel())
    with kpk.Pruner(model, policy):
        pass
    kernel = model.get_weights()[0]
    assert kernel.shape == (3, 3, 5, 6)
    assert (kernel == 0).all(axis=(0, 1, 3)).sum() == 2


def test_policies_survive_json(K):
    policy = kpk.PrunePolicy(
        kpk.CosineDecay(0.1, 0.8, kpk.Epochs(1), kpk.Fraction(0.9), frequency=5),
        [
            kpk.Rule("conv.*", None),
            kpk.Rule([K.layers.Dense, "head"], 0.5, structure=kpk.Block((2, 2))),
            kpk.Rule("x", kpk.ConstantSparsity(0.5, 3), criterion=kpk.random_scores(4)),
        ],
        structure=kpk.Channel(),
        criterion=kpk.magnitude,
    )
    data = json.loads(json.dumps(policy.to_dict()))
    assert kpk.PrunePolicy.from_dict(data) == policy


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (kpk.PrunePolicy(0.8, [kpk.Rule("nowhere", 0.5)]), "'nowhere' covers no"),
        (kpk.PrunePolicy(0.8, structure=kpk.Block((1, 64))), "must fit into"),
        (
            kpk.PrunePolicy(kpk.ConstantSparsity(2 / 3), structure=kpk.NofM(1, 3)),
            "multiple of 3",
        ),
        (kpk.PrunePolicy(None or 0.5, [kpk.Rule(".*", None)]), "Nothing in model"),
    ],
)
def test_a_policy_that_does_not_fit_the_model_says_so(K, policy, message):
    with pytest.raises(ValueError, match=message):
        policy.plan(models.sequential(K))


def test_a_class_of_the_other_world_is_explained(K):
    import keras
    import tf_keras

    other = tf_keras if K is keras else keras
    policy = kpk.PrunePolicy(0.8, [kpk.Rule(other.layers.Dense, 0.5)])
    with pytest.raises(ValueError, match="model's own Keras"):
        policy.plan(models.sequential(K))


def test_an_unbuilt_model_says_when_it_gets_built(K):
    with pytest.raises(ValueError, match="model.build"):
        kpk.PrunePolicy(0.8).plan(K.Sequential([K.layers.Dense(3)]))


@pytest.mark.parametrize("model", [None, 3, ["model.keras"], object()])
def test_what_is_no_keras_model_is_named(model):
    with pytest.raises(TypeError, match="Keras 3"):
        kpk.PrunePolicy(0.8).plan(model)


@pytest.mark.parametrize("regex", ["outs.d", "utsid.", "outs.de.?.?x"])
def test_a_regex_matches_a_whole_path_or_nothing(K, regex):
    policy = kpk.PrunePolicy(0.8, [kpk.Rule(regex, None)])
    with pytest.raises(ValueError, match="covers no"):
        policy.plan(models.nested(K))


def positions(K):
    """Tables of positions and segments, a small one of categories, and words."""
    words, kind = K.Input((6,), dtype="int32"), K.Input((6,), dtype="int32")

    class Positions(K.layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.pos_emb = K.layers.Embedding(6, 8)

        def build(self, input_shape):
            self.pos_emb.build((None, 6))
            super().build(input_shape)

        def call(self, inputs):
            return inputs + self.pos_emb(np.arange(6)[None])

    x = Positions(name="where")(K.layers.Embedding(50, 8, name="words")(words))
    segment = K.layers.Embedding(2, 8, name="segment_embedding")(words)
    months = K.layers.Embedding(12, 8, name="months")(kind)
    outputs = K.layers.Dense(1, name="head")(x + segment + months)
    return K.Model([words, kind], outputs)


def test_tables_of_positions_and_segments_are_left_alone_by_default(K):
    plan = kpk.PrunePolicy(0.5, [kpk.Rule(".*", 0.6)]).plan(positions(K))
    paths = [weight.path for weight in plan.weights]
    assert sorted(paths) == ["head/kernel", "months/embeddings", "words/embeddings"]
    skipped = {skip.path.split("/")[0]: skip.reason for skip in plan.skipped}
    assert set(skipped) == {"where", "segment_embedding"}
    assert all("indexes positions or segments" in why for why in skipped.values())


@pytest.mark.parametrize(
    "match",
    [
        "segment_embedding",
        ".*segment.*",
        "segment_embedding/embeddings",
        lambda layer: layer.name == "segment_embedding",
    ],
)
def test_a_rule_for_nothing_else_prunes_tables_of_positions_and_segments(K, match):
    weights = planned(positions(K), kpk.PrunePolicy(0.5, [kpk.Rule(match, 0.25)]))
    found = weights["segment_embedding/embeddings"]
    assert found.schedule.final_sparsity == 0.25
    assert len(weights) == 4
    where = planned(positions(K), kpk.PrunePolicy(0.5, [kpk.Rule("where", 0.25)]))
    assert any(path.startswith("where/") for path in where)


@pytest.mark.parametrize(
    ("name", "is_table"),
    [
        ("position_embedding", True),
        ("decoder_position_embedding_3", True),
        ("pos_embed", True),
        ("token_type_embeddings", True),
        ("segment_emb", True),
        ("positional_encoding", True),
        ("token_embedding", False),
        ("embedding_12", False),
        ("composition_embedding", False),
        ("token_and_position", False),
        ("position", False),
        ("month_embedding", False),
    ],
)
def test_names_tell_tables_of_positions_and_segments(K, name, is_table):
    model = K.Sequential([K.layers.Input((4,)), K.layers.Embedding(9, 4, name=name)])
    model.add(K.layers.Dense(2))
    assert (len(planned(model, kpk.PrunePolicy(0.5))) == 1) is is_table


def test_untied_reversible_embeddings_have_two_tables_and_tied_ones_have_one():
    import keras

    if not hasattr(keras.layers, "ReversibleEmbedding"):
        pytest.skip("This version of Keras has none.")
    for is_tied, shapes in ((True, [(20, 8)]), (False, [(20, 8), (8, 20)])):
        layer = keras.layers.ReversibleEmbedding(20, 8, tie_weights=is_tied)
        inputs = keras.Input((5,))
        model = keras.Model(inputs, layer(layer(inputs), reverse=True))
        plan = kpk.PrunePolicy(kpk.ConstantSparsity(0.5)).plan(model)
        assert [weight.shape for weight in plan.weights] == shapes
        with kpk.Pruner(model, kpk.PrunePolicy(kpk.ConstantSparsity(0.5))):
            pass
        report = kpk.sparsity_report(model)
        assert (report.size, report.zeros) == (160 * len(shapes), 80 * len(shapes))
