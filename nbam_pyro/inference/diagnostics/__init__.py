"""Diagnostics of a fit: whether it has collapsed, and what the data identify."""
