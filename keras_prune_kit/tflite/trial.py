"""A first run of a file that nobody vouches for, in a process that may crash.

The interpreter is native code and trusts what a file says of itself: sizes, axes,
indices. A damaged file can make it read outside of its memory, or work for hours.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys

_CPU_S, _BYTES_A_SECOND = 5, 10_000_000
_WALL_FACTOR = 12  # Where the machine has other things to do.
_SCRIPT = """\
import sys
import numpy as np
from ai_edge_litert.interpreter import Interpreter
try:
    import resource
    resource.setrlimit(resource.RLIMIT_CPU, ({seconds}, {seconds}))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
except ImportError:
    pass
content = sys.stdin.buffer.read()
try:
    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    for item in interpreter.get_input_details():
        interpreter.set_tensor(item["index"], np.zeros(item["shape"], item["dtype"]))
    interpreter.invoke()
except Exception:
    pass
"""
_survived: set[str] = set()


def check_runs(content: bytes) -> None:
    """Raises a `ValueError` for a file that the interpreter does not come back from.

    What the interpreter refuses by itself is no concern of this.

    Args:
        content: A .tflite file.
    """
    digest = hashlib.sha256(content).hexdigest()
    if digest in _survived or not sys.executable:
        return
    seconds = _CPU_S + len(content) // _BYTES_A_SECOND
    command = [sys.executable, "-c", _SCRIPT.format(seconds=seconds)]
    try:
        run = subprocess.run(
            command, input=content, capture_output=True, timeout=_WALL_FACTOR * seconds
        )
    except subprocess.TimeoutExpired:
        raise ValueError(f"it does not run within {seconds} seconds") from None
    if run.returncode not in (0, 1):  # 1 is Python's own, as without the interpreter.
        raise ValueError(
            f"the interpreter crashes on it, or needs more than {seconds} seconds "
            f"(exit code {run.returncode})"
        )
    _survived.add(digest)
