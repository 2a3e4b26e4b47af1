"""The trainer: from a prepared set to a model, and back to raw data.

from tensorize.train import evaluate, fit, predict

history = fit("mlp", "wine.h5", out="model.pt")
evaluate("model.pt", "wine.h5").metrics["accuracy"]
predict("model.pt", "new.csv")  # a pyarrow Table
"""

from tensorize.train.checkpoint import Checkpoint, Epoch, History
from tensorize.train.evaluate import Evaluation, evaluate
from tensorize.train.fit import fit
from tensorize.train.loop import Callback
from tensorize.train.predict import predict
from tensorize.train.settings import Settings

__all__ = ["Callback", "Checkpoint", "Epoch", "Evaluation", "History", "Settings", "evaluate", "fit", "predict"]
