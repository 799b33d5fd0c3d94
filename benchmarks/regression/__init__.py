"""Benchmark of regression on partly wrong measurements."""
