"""Channels: filters, units and heads that can leave a model.

`channel_groups` tells which stand and fall together, `remove_zero_channels` takes out
those that contribute nothing, and `remove_channels` those that matter least.
"""

from keras_prune_kit.channels.groups import ChannelGroup, ChannelGroups, channel_groups
from keras_prune_kit.channels.removing import remove_zero_channels

__all__ = [
    "ChannelGroup",
    "ChannelGroups",
    "channel_groups",
    "remove_zero_channels",
]
