"""Warnings of clustering."""


class ClustersNotAppliedWarning(UserWarning):
    """A train step updated weights without applying the means of their clusters.

    It was compiled before clustering started, most often. `Clusterer` then applies the
    means after each step itself. Start it before the step is compiled to be rid of the
    warning.
    """
