"""The version, read by the build and by `tensorize --version`."""

__version__ = "0.1.0"
