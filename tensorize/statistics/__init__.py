"""What is learned: frozen, mergeable in block order, JSON. No torch here."""
