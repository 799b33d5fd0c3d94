"""Posteriors of a fit: of its rows, of its parameters, and their files."""
