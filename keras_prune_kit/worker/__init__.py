"""Calls that run in a child process under TensorFlow, for models of JAX and torch.

Only TensorFlow converts a model to .tflite and trains it quantization-aware. A process
that uses another Keras backend cannot switch, so `on_tensorflow` sends such a call to a
child process. It starts with the first call and is kept until this process ends.

Parts, from the call down: `calls` decides who runs it, `client` keeps the process that
`child` starts and talks to, `server` is what that process runs. `packing` turns models,
data and results into messages; `news` is what the child says before the result, and
`stages` how far it is.
"""

from keras_prune_kit.worker.calls import on_tensorflow

__all__ = ["on_tensorflow"]
