"""`keras.distribution.DataParallel` over virtual devices of JAX."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from contract import BACKEND

SCRIPT = """
import sys

sys.path.insert(0, FOLDER)
import jax
import keras
import numpy as np
from contract import EachStep, classifier, every_step, fit, kernels
import keras_prune_kit as kpk

assert len(jax.devices()) == 4
keras.distribution.set_distribution(keras.distribution.DataParallel())
model, look = classifier(), EachStep()


class Copies(keras.callbacks.Callback):
    '''Compares what the devices hold, after each batch.'''

    def on_train_batch_end(self, batch, logs=None):
        held = [ly.kernel for ly in self.model.layers] + masks(self.model)
        assert len(held) == 6
        for variable in held:
            shards = [np.asarray(s.data) for s in variable.value.addressable_shards]
            assert len(shards) == 4
            for shard in shards[1:]:
                np.testing.assert_array_equal(shard, shards[0])


def masks(model):
    return [layer.kernel.constraint.projection.state for layer in model.layers]


fit(model, kpk.PruningCallback(every_step()), look, Copies())
assert look.seen == 24
fit(model, kpk.PruningCallback(every_step(final=0.8)), epochs=1)
print("equal", [float(np.mean(kernel == 0)) for kernel in kernels(model)])
"""


@pytest.mark.skipif(BACKEND != "jax", reason="Keras distributes on JAX")
def test_all_devices_have_the_same_masks(tmp_path):
    script = textwrap.dedent(SCRIPT).replace("FOLDER", repr(str(Path(__file__).parent)))
    flags = "--xla_force_host_platform_device_count=4"
    path = os.pathsep.join(filter(None, sys.path))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path, "XLA_FLAGS": flags},
        **{"capture_output": True, "text": True, "check": False},
    )
    assert done.returncode == 0, done.stderr
    assert "equal" in done.stdout
