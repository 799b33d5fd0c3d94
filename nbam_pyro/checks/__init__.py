"""Checks of what a user passes in: numbers, columns, shapes and memory."""
