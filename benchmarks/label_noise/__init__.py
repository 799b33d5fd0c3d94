"""Label noise: methods of the library and baselines on the same noisy rows."""
