"""What all loaders of rows share: roles, filters, missing values, splits, fitting and encoding."""
