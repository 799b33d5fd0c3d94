"""One objective of which the auto-encoder, Deep SVDD and Deep SAD are special cases."""
