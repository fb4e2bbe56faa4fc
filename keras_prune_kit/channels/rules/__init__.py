"""Rules: the effect of each kind of layer on channels.

A rule is a function of a `Site`; it says which channels each weight has along its axes,
which entries of the configuration follow them, and returns the output tensors.
`RULES` names the rule of each class of Keras; a layer of any other class is tried with
half of its channels, and if that computes half of its outputs, it treats each channel
alone.
"""

from keras_prune_kit.channels.rules.choosing import rule_for

__all__ = ["rule_for"]
