"""Rows of data and one Lightning run over them, for every fit of the library."""
