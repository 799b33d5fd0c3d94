"""Anomaly detection where the training rows are contaminated, too."""
