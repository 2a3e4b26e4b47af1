"""Dates in any notation: which ways of writing there are, the text of cells, and the rows of a source in ISO 8601."""
