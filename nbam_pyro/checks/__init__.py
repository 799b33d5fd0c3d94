"""Checks of what somebody hands in: numbers, columns, shapes and memory."""
