"""Warnings of clustering."""


class ClustersNotAppliedWarning(UserWarning):
    """A train step updated weights without applying the means of their clusters."""
