"""Where raw bytes are: paths, globs, standard input, downloads; and whether they have changed."""
