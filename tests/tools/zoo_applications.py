"""Which of keras.applications are in the zoo, and the smallest pictures they take."""

import keras
import tf_keras
from zoo_hub import hub_models
from zoo_models import CLASSES, PEOPLE_TRAIN, Architecture

WORLDS = {"keras": keras, "tf_keras": tf_keras}

# One or two of each family, the smaller first.
SAMPLE = (
    "MobileNet",
    "MobileNetV2",
    "MobileNetV3Small",
    "MobileNetV3Large",
    "VGG16",
    "ResNet50",
    "ResNet50V2",
    "DenseNet121",
    "InceptionV3",
    "Xception",
    "EfficientNetB0",
    "EfficientNetV2B0",
    "ConvNeXtTiny",
    "NASNetMobile",
    "RegNetX002",
    "RegNetY002",
    "ResNetRS50",
    "VGG19",
    "ResNet101",
    "InceptionResNetV2",
    "EfficientNetB3",
    "EfficientNetV2S",
    "DenseNet201",
)
_SMALLEST = {"Inception": 75, "Xception": 71}
# These scale their pictures themselves.
_TAKE_PIXELS = ("ConvNeXt", "EfficientNet", "MobileNetV3", "RegNet", "ResNetRS")


def application(name, **arguments):
    """An architecture of keras.applications, with random weights and few classes."""
    sizes = [size for start, size in _SMALLEST.items() if name.startswith(start)]
    shape = (*[*sizes, 32][:1] * 2, 3)

    def build(K):
        return getattr(K.applications, name)(
            weights=None,
            input_shape=shape,
            classes=CLASSES,
            classifier_activation=None,
            **arguments,
        )

    return Architecture(build, (shape,), is_pixels=name.startswith(_TAKE_PIXELS))


def application_names(K):
    """All that a world has, in the order of the alphabet."""
    return sorted(name for name in dir(K.applications) if name[0].isupper())


def zoo(K, everything=False):
    """The architectures of a world by name: those that people train come first."""
    known = application_names(K)
    names = [name for name in SAMPLE if name in known]
    if everything:
        names += [name for name in known if name not in names]
    applications = {name: application(name) for name in names}
    return PEOPLE_TRAIN | hub_models(K) | applications
