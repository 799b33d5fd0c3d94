"""Benchmarks of anomaly detection with contaminated training rows."""
