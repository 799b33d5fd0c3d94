"""Series whose contamination comes in bursts."""
