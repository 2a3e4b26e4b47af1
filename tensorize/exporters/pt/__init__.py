"""Torch files (.pt, .pth)."""
