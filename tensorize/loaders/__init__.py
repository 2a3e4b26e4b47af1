"""One file or package for each kind of raw data."""
