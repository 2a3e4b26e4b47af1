"""Files in the making: part files, tensors at known offsets, digests."""
