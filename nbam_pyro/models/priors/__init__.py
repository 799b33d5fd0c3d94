"""Priors of switches, contamination rates, flips and class frequencies."""
