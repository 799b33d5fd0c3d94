"""Benchmark of label noise: the library and baselines on the same noisy rows."""
