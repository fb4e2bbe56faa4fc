"""Pruning on JAX and torch where TensorFlow is not installed."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from contract import BACKEND

SCRIPT = """
import sys
from pathlib import Path

# To Python this means that there is none.
sys.modules["tensorflow"] = None
sys.path.insert(0, FOLDER)
import numpy as np
from contract import EachStep, classifier, data, every_step, fit, kernels
import keras_prune_kit as kpk

model, look = classifier(), EachStep()
pruning = kpk.PruningCallback(every_step())
best = kpk.TargetSparsityCheckpoint("best.keras", monitor="loss")
logs = fit(model, pruning, look, kpk.GzipSizeLogger(), best).history
assert (look.seen, logs["gzip_bytes"][-1]) == (24, kpk.gzip_bytes(model)), logs
fit(model, kpk.PruningCallback(kpk.KeepZeros()), kpk.ClusteringCallback(5), epochs=1)
counts = [len(np.unique(kernel)) for kernel in kernels(model)]
assert max(counts) == 5, counts
x, y = data()
curves = kpk.sensitivity(model, (x, y))
taylor = kpk.PrunePolicy(0.9, criterion=kpk.taylor)
fit(model, kpk.PruningCallback(taylor, data=(x, y)), epochs=1)
print(kpk.sparsity_report(model), curves, kpk.PrunePolicy(0.5).plan(model))
small = kpk.remove_channels(model, 0.5)
model.save("pruned.keras")
assert Path("best.keras").exists()
assert sys.modules["tensorflow"] is None
"""


@pytest.mark.skipif(BACKEND == "tensorflow", reason="TensorFlow is the backend")
def test_the_main_job_needs_no_tensorflow(tmp_path):
    folder = str(Path(__file__).parent)
    script = textwrap.dedent(SCRIPT).replace("FOLDER", repr(folder))
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        **{"capture_output": True, "text": True, "check": False},
    )
    assert done.returncode == 0, done.stderr
    assert "hidden/kernel" in done.stdout
