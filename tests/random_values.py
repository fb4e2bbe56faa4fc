"""Arrays and weights of random values, the same in each run."""

import numpy as np


def random(*shape, seed=0):
    """Return float32 of a normal distribution."""
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def randomize(model):
    """Give all weights values of their own: biases are zero at first."""
    for seed, variable in enumerate(model.weights):
        value = random(*variable.shape, seed=seed) / 3
        variable.assign(np.abs(value) + 0.5 if "variance" in variable.name else value)
    return model
