"""Switches of rows in an order, such as time, whose contamination may come in bursts."""
