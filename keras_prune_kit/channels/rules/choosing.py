"""The choice of the rule for a call."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from keras_prune_kit import _keras
from keras_prune_kit.channels.rules.attention import ATTENTION_RULES
from keras_prune_kit.channels.rules.convolutions import CONVOLUTION_RULES
from keras_prune_kit.channels.rules.kernels import KERNEL_RULES
from keras_prune_kit.channels.rules.merging import MERGING_RULES
from keras_prune_kit.channels.rules.per_channel import per_channel
from keras_prune_kit.channels.rules.recurrent import RECURRENT_RULES
from keras_prune_kit.channels.rules.reshaping import RESHAPING_RULES

if TYPE_CHECKING:
    from keras_prune_kit.channels.flow import Flow
    from keras_prune_kit.channels.site import Site

RULES: dict[str, Callable[[Any], list[Any]]] = {
    **KERNEL_RULES,
    **CONVOLUTION_RULES,
    **RECURRENT_RULES,
    **ATTENTION_RULES,
    **MERGING_RULES,
    **RESHAPING_RULES,
}


def rule_for(call: _keras.Call) -> Callable[[Site], list[Flow]]:
    """Return the rule of a call."""
    if any(_is_altered(part) for part in _keras.parts_of(call.operation)):
        return _altered
    return RULES.get(_keras.known_kind(call.operation) or "", per_channel)


def _is_altered(layer: Any) -> bool:
    """Return True if the kernel is not the variable that the rules cut."""
    mode = getattr(layer, "quantization_mode", None)
    return bool(mode or getattr(layer, "lora_enabled", False))


def _altered(site: Site) -> list[Flow]:
    return site.opaque("its kernel is quantized or has a LoRA adapter")
