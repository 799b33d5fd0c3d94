"""Backbones: the models that give each row a clean energy and an anomaly energy."""
