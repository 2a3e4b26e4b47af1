"""A column of strings or numbers → float64 channels or ids. No torch here."""
