"""What ends a convolutional net."""

from __future__ import annotations

from torch import nn


def head(features: int, hidden: int, outputs: int, dropout: float) -> nn.Sequential:
    """(row, …) with `features` values in each row → (row, output), by two linear layers."""
    return nn.Sequential(nn.Flatten(), nn.Linear(features, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, outputs))
