"""Consensus labels, and the accuracy of annotators, from several labels per item."""
