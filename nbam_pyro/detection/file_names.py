"""Names of the files of saved detectors."""

__all__ = ["PATCHES", "ROWS"]

ROWS = ("detector.json", "detector.safetensors")
"""Files of a detector of rows."""
PATCHES = ("patches.json", "patches.safetensors")
"""Files of a `PatchDetector`."""
