"""Channels: filters, units and heads that can leave a model.

`channel_groups` tells which stand and fall together, `remove_zero_channels` takes out
those that contribute nothing, and `remove_channels` those that matter least.
"""

from keras_prune_kit.channels.choosing import Chooser, no_group_message, removable
from keras_prune_kit.channels.costs import macs_of
from keras_prune_kit.channels.groups import (
    ChannelGroup,
    ChannelGroups,
    channel_groups,
    traced,
)
from keras_prune_kit.channels.removal import without
from keras_prune_kit.channels.removing import (
    chooser_for,
    remove_channels,
    remove_zero_channels,
)
from keras_prune_kit.channels.tied_weights import TiedAxis, TiedWeights, tied_weights

__all__ = [
    "ChannelGroup",
    "ChannelGroups",
    "Chooser",
    "TiedAxis",
    "TiedWeights",
    "channel_groups",
    "chooser_for",
    "macs_of",
    "no_group_message",
    "removable",
    "remove_channels",
    "remove_zero_channels",
    "tied_weights",
    "traced",
    "without",
]
