"""Compare, check and sample: the Bayesian workflow around a fit."""
