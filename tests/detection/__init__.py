"""Tests of `nbam_pyro.detection`."""
