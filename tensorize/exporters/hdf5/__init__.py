"""HDF5 (.h5, .hdf5)."""

NAMES = "_names"
"""The group of the names along axes."""
VERSION = "tensorize_format"
"""The attribute of the root that holds the version of this layout."""
