"""Parquet: one row per sample, a row group for each group of samples, open to every stock reader."""
