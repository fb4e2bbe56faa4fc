"""The exception that a failed export raises."""


class ExportError(RuntimeError):
    """A model that cannot be exported to a .tflite file that runs."""
