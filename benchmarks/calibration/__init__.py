"""Benchmarks of the calibration of posteriors, intervals and priors."""
