"""Regression on measurements that are partly wrong."""
