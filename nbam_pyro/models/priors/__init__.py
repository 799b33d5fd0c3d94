"""Priors of switches, rates, flips and class frequencies."""
