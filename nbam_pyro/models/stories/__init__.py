"""Generative stories, and how to write one."""
