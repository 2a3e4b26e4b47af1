"""The command line: thin commands over the library. Installed as `tensorize_cli`."""
