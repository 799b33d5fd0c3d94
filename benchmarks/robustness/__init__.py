"""Hostile input, signals, scales of numbers and small tables."""
