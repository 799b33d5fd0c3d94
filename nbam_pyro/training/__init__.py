"""Rows of data, and training runs over them, for every fit of the library."""
