"""Several annotators."""
