"""What the formats with one row per sample share: the columns of a set, and the index that says where its numbers lie."""
