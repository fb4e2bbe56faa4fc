"""A run that is killed in the middle ends at the target when it goes on."""

import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from marks import slow

SCRIPT = """
    import os, signal, sys
    import numpy as np
    import {world} as K
    import keras_prune_kit as kpk

    folder, kill_at, order = sys.argv[1], sys.argv[2], sys.argv[3]
    rng = np.random.default_rng(0)
    x = rng.normal(size=(128, 8)).astype("float32")
    y = (x[:, 0] > 0).astype("int64")
    K.utils.set_random_seed(1)
    model = K.Sequential([
        K.layers.Input((8,)),
        K.layers.Dense(16, activation="relu"),
        K.layers.Dense(2, activation="softmax"),
    ])
    model.compile("adam", "sparse_categorical_crossentropy")

    def kill():
        os.kill(os.getpid(), signal.SIGKILL)

    class Kill(K.callbacks.Callback):
        steps = 0

        def on_train_batch_end(self, batch, logs=None):
            self.steps += 1
            if kill_at == f"step {{self.steps}}":
                kill()

        def on_epoch_end(self, epoch, logs=None):
            if kill_at == f"epoch {{epoch + 1}}":
                kill()

    saves, save = [], model.save_weights

    def tearing(filepath, **options):
        save(filepath, **options)
        saves.append(filepath)
        if kill_at == f"save {{len(saves)}}":
            os.truncate(filepath, os.path.getsize(filepath) // 2)
            kill()

    model.save_weights = tearing
    pruning = kpk.PruningCallback(kpk.{schedule})
    backup = {backup}
    callbacks = [backup, pruning] if order == "after" else [pruning, backup]
    history = model.fit(
        x, y, epochs=6, batch_size=16, verbose=0, callbacks=[*callbacks, Kill()]
    )
    np.savez(folder + "/end.npz", *model.get_weights(), epochs=history.epoch)
"""

FROM_ZERO = "PolynomialDecay(0.0, 0.8)"
AT_ONCE = "ConstantSparsity(0.8)"
KERAS = "K.callbacks.BackupAndRestore(folder + '/backup')"
EACH_FIFTH_STEP = "K.callbacks.BackupAndRestore(folder + '/backup', save_freq=5)"
OURS = "kpk.BackupAndRestore(folder + '/backup')"


def run(tmp_path, world, kill_at, schedule, backup, order="after"):
    script = tmp_path / "train.py"
    code = textwrap.dedent(SCRIPT)
    script.write_text(code.format(world=world, schedule=schedule, backup=backup))
    return subprocess.run(
        [sys.executable, script, tmp_path, kill_at, order],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    ("world", "schedule", "backup", "order", "kill_at"),
    [
        slow("keras", FROM_ZERO, KERAS, "after", "step 21"),
        ("keras", AT_ONCE, OURS, "before", "step 21"),
        slow("tf_keras", FROM_ZERO, KERAS, "before", "step 21"),
        slow("tf_keras", AT_ONCE, EACH_FIFTH_STEP, "after", "step 37"),
    ],
)
def test_killed_in_mid_epoch_and_resumed(
    tmp_path, world, schedule, backup, order, kill_at
):
    killed = run(tmp_path, world, kill_at, schedule, backup, order)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    resumed = run(tmp_path, world, "never", schedule, backup, order)
    assert resumed.returncode == 0, resumed.stderr
    with np.load(tmp_path / "end.npz") as end:
        assert end["epochs"][0] > 0
        assert (end["arr_0"] == 0).sum() == round(0.8 * 128)
        assert (end["arr_2"] == 0).sum() == round(0.8 * 32)


@pytest.mark.slow
@pytest.mark.parametrize(("save", "epochs"), [(1, 6), (3, 4)])
def test_killed_in_the_middle_of_a_backup_and_resumed(tmp_path, save, epochs):
    """What that epoch brought is lost, and no more; Keras' own could not be read."""
    killed = run(tmp_path, "keras", f"save {save}", FROM_ZERO, OURS)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    resumed = run(tmp_path, "keras", "never", FROM_ZERO, OURS)
    assert resumed.returncode == 0, resumed.stderr
    assert sorted(os.listdir(tmp_path)) == ["end.npz", "train.py"]
    with np.load(tmp_path / "end.npz") as end:
        assert list(end["epochs"]) == list(range(6))[-epochs:]
        assert (end["arr_0"] == 0).sum() == round(0.8 * 128)


@pytest.mark.slow  # test_callbacks.py begins where no epoch is left.
@pytest.mark.parametrize("world", ["keras", "tf_keras"])
def test_killed_between_the_last_epoch_and_the_end(tmp_path, world):
    killed = run(tmp_path, world, "epoch 6", FROM_ZERO, OURS)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    resumed = run(tmp_path, world, "never", FROM_ZERO, OURS)
    assert resumed.returncode == 0, resumed.stderr
    with np.load(tmp_path / "end.npz") as end:
        assert not end["epochs"].size
        assert (end["arr_0"] == 0).sum() == round(0.8 * 128)
        assert (end["arr_2"] == 0).sum() == round(0.8 * 32)


@pytest.mark.slow
@pytest.mark.parametrize("world", ["keras", slow("tf_keras")])
def test_a_saved_model_loads_where_this_package_is_not(tmp_path, world):
    train = f"""
        import numpy as np, {world} as K
        import keras_prune_kit as kpk
        model = K.Sequential([K.layers.Input((8,)), K.layers.Dense(4)])
        model.compile("adam", "mse")
        x = np.random.default_rng(0).normal(size=(32, 8)).astype("float32")
        pruning = kpk.PruningCallback(0.75)
        model.fit(x, x[:, :4], epochs=2, verbose=0, callbacks=[pruning])
        model.save("pruned.keras")
    """
    load = f"""
        import sys
        sys.modules["keras_prune_kit"] = None  # importing it now fails
        import {world} as K
        model = K.models.load_model("pruned.keras")
        print((model.get_weights()[0] == 0).sum())
    """
    outputs = [
        subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for code in (train, load)
    ]
    assert outputs[1].split() == ["24"]
