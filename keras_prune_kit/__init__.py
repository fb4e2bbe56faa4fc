"""keras_prune_kit: add one callback to `model.fit` and get a smaller model.

The usual spelling is `import keras_prune_kit as kpk`. The public names stand in
`__init__.pyi`; each is loaded when it is first used, so the import itself costs next
to nothing.
"""

from importlib.metadata import version

import lazy_loader

from keras_prune_kit.registration import register_with_keras

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__version__ = version("keras-prune-kit")

register_with_keras()
