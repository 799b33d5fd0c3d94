"""Kinds of scores that need no training by gradients: distances, isolation and densities."""
