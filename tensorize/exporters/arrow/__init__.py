"""Arrow IPC files, which Feather is, too: one row per sample, a record batch for each group of samples."""
