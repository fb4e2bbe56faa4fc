"""The exception that a failed export raises."""


class ExportError(RuntimeError):
    """A model that cannot be exported to a .tflite file that runs.

    The message has the reason, such as a layer that takes texts, and what to do.
    """
