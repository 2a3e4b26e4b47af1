"""The trainer: from a prepared set to a model, and back to raw data.

from tensorize.train import fit

history = fit("mlp", "wine.h5", out="model.pt")
"""

from tensorize.train.callbacks import Callback
from tensorize.train.checkpoint import Checkpoint
from tensorize.train.fit import fit
from tensorize.train.history import Epoch, History
from tensorize.train.settings import Settings

__all__ = ["Callback", "Checkpoint", "Epoch", "History", "Settings", "fit"]
