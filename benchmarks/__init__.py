"""Speed and quality, measured; results are kept in `benchmarks/results/`."""
