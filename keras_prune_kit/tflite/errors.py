"""What can go wrong in an export."""


class ExportError(RuntimeError):
    """The converter could not make a file of the model."""
