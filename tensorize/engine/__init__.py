"""Runs a recipe over chunks. It may change the speed, never a bit of the result."""
