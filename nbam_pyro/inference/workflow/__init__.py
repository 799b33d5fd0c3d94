"""Bayesian workflow: compare fits, check them, and sample with Markov chains."""
