"""Generative stories: how clean and contaminated targets are generated."""
