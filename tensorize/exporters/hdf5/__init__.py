"""HDF5 (.h5, .hdf5)."""
