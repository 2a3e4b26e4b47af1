"""One file or folder for each tabular format."""
