"""Benchmarks of robustness: damaged files, killed commands, extreme units, small tables."""
