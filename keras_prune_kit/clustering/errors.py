"""What can go wrong while clustering."""


class ClustersNotAppliedWarning(UserWarning):
    """A train step updated weights without putting their clusters' means in place."""
