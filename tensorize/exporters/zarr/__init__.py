"""Zarr version 3: a folder with a group for each split, open to every stock reader."""
