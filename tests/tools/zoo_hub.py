"""The backbones of KerasHub in the zoo: small configurations with random weights.

They are in the zoo where `keras_hub` is installed. A head makes of each what is
fine-tuned: a mean over tokens or pixels, and class scores. Tokens end in padding of
different lengths.
"""

import importlib.util
from dataclasses import dataclass

import numpy as np
from zoo_models import CLASSES, TOKENS, Architecture

LENGTH = 12
_TEXT = {
    "vocabulary_size": TOKENS,
    "num_layers": 2,
    "hidden_dim": 16,
    "intermediate_dim": 32,
}
_ROTARY = {"num_query_heads": 4, "num_key_value_heads": 2}


@dataclass(frozen=True, kw_only=True)
class Backbone(Architecture):
    """An architecture whose inputs have names, as those of language models."""

    names: tuple[str, ...] = ()
    sparsity: float = 0.5

    def inputs(self, count, seed=0):
        if not self.names:
            return super().inputs(count, seed)
        rng = np.random.default_rng(seed)
        lengths = rng.integers(LENGTH // 2, LENGTH + 1, (count, 1))
        kept = (np.arange(LENGTH) < lengths).astype("int32")
        return [self._input(rng, name, kept) for name in self.names]

    def _input(self, rng, name, kept):
        if name.endswith("padding_mask"):
            return kept
        if name == "encoder_features":
            return rng.normal(size=(len(kept), 2 * LENGTH, 8)).astype("float32")
        # Of a pair of sentences the second begins half way.
        is_segment = name == "segment_ids"
        second = np.broadcast_to(np.arange(LENGTH) >= LENGTH // 2, kept.shape)
        ids = second if is_segment else rng.integers(1, TOKENS, kept.shape)
        return (ids * kept).astype("int32")


def with_head(K, backbone, names):
    """What is fine-tuned: the mean of what a backbone says, and scores of the classes.

    A language model says how likely each word is, by its tied embeddings.
    """
    inputs = {name: _named(K, name) for name in names}
    inputs = inputs or K.Input(backbone.input_shape[1:], name="images")
    features = backbone(inputs)
    parts = list(features.values()) if isinstance(features, dict) else [features]
    if "token_ids" in names and len(parts) == 1:
        parts = [backbone.token_embedding(parts[0], reverse=True)]
    mask = K.ops.cast(inputs["padding_mask"], "bool") if "token_ids" in names else None
    pooled = [_pooled(K, part, mask) for part in parts]
    pooled = pooled[0] if len(pooled) == 1 else K.layers.Concatenate()(pooled)
    scores = K.layers.Dense(CLASSES, name="head")(pooled)
    return K.Model(list(inputs.values()) if names else inputs, scores)


def _named(K, name):
    if name == "encoder_features":
        return K.Input((None, 8), name=name)
    return K.Input((None,), dtype="int32", name=name)


def _pooled(K, features, mask):
    rank = len(features.shape) - 2
    if not rank:
        return features
    pooling = getattr(K.layers, f"GlobalAveragePooling{rank}D")()
    return pooling(features) if mask is None else pooling(features, mask=mask)


def _text(kind, names=("token_ids", "padding_mask"), **config):
    return kind, Backbone(_builder(kind, _TEXT | config, names), (), names=names)


def _pictures(kind, **config):
    return kind, Backbone(_builder(kind, config), ((32, 32, 3),))


def _builder(kind, config, names=()):
    def build(K):
        import keras_hub

        return with_head(K, getattr(keras_hub.models, kind)(**config), names)

    return build


_MOBILE = {
    "stackwise_expansion": [[16, 24], [24]],
    "stackwise_num_blocks": [2, 1],
    "stackwise_num_filters": [[8, 8], [16]],
    "stackwise_kernel_size": [[3, 3], [5]],
    "stackwise_num_strides": [[2, 1], [1]],
    "stackwise_se_ratio": [[None, None], [0.25]],
    "stackwise_activation": [["relu", "relu"], ["hard_swish"]],
    "stackwise_padding": [[1, 1], [2]],
    "output_num_filters": 32,
    "depthwise_filters": 8,
    "depthwise_stride": 1,
    "depthwise_residual": True,
    "last_layer_filter": 32,
    "squeeze_and_excite": 0.5,
    "input_num_filters": 8,
    "image_shape": (32, 32, 3),
}
_EFFICIENT = {
    "stackwise_kernel_sizes": [3, 5],
    "stackwise_num_repeats": [1, 2],
    "stackwise_input_filters": [8, 8],
    "stackwise_output_filters": [8, 16],
    "stackwise_expansion_ratios": [1, 4],
    "stackwise_squeeze_and_excite_ratios": [0.0, 0.25],
    "stackwise_strides": [1, 2],
    "stackwise_block_types": ["fused", "unfused"],
    "stackwise_force_input_filters": [0, 0],
    "stackwise_nores_option": [False, False],
    "width_coefficient": 1.0,
    "depth_coefficient": 1.0,
    "num_features": 32,
    "input_shape": (32, 32, 3),
}

HUB = dict(
    [
        _text(
            "BertBackbone",
            ("token_ids", "segment_ids", "padding_mask"),
            num_heads=2,
            max_sequence_length=LENGTH,
        ),
        _text("GPT2Backbone", num_heads=2, max_sequence_length=LENGTH),
        _text("GemmaBackbone", head_dim=4, **_ROTARY),
        _text("LlamaBackbone", **_ROTARY),
        _text(
            "WhisperBackbone",
            ("encoder_features", "decoder_token_ids", "decoder_padding_mask"),
            num_heads=2,
            num_mels=8,
            max_encoder_sequence_length=2 * LENGTH,
            max_decoder_sequence_length=LENGTH,
        ),
        _pictures(
            "ViTBackbone",
            image_shape=(32, 32, 3),
            patch_size=8,
            num_layers=2,
            num_heads=2,
            hidden_dim=16,
            mlp_dim=32,
        ),
        _pictures(
            "ResNetBackbone",
            input_conv_filters=[64],
            input_conv_kernel_sizes=[3],
            stackwise_num_filters=[64, 16],
            stackwise_num_blocks=[1, 2],
            stackwise_num_strides=[1, 2],
            block_type="basic_block",
            image_shape=(32, 32, 3),
        ),
        _pictures("MobileNetBackbone", **_MOBILE),
        _pictures("EfficientNetBackbone", **_EFFICIENT),
    ]
)


def hub_models(K):
    """The architectures of KerasHub by name; none where it is not installed."""
    is_there = importlib.util.find_spec("keras_hub") and K.__name__ == "keras"
    return HUB if is_there else {}
