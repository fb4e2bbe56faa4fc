"""Self-contained HTML pages of the records, without other files or network."""

from keras_prune_kit.reports.pages.front import front_page
from keras_prune_kit.reports.pages.page import comparison_page, compression_page

__all__ = ["comparison_page", "compression_page", "front_page"]
