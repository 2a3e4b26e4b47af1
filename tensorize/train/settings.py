"""How a model is trained: what is recorded in a checkpoint, and becomes the flags of `tensorize train`."""

from __future__ import annotations

from typing import Literal

from pydantic import field_validator

from tensorize.core.options import Options, Ratios, flag


class Settings(Options):
    """Everything that changes the weights that come out, besides the model and the data."""

    epochs: int = flag(
        20,
        "How often the train rows are gone through; by default more often where 20 epochs of a small model are few steps.",
        ge=1,
    )
    batch_size: int = flag(64, "Rows in a step.", ge=1)
    lr: float = flag(3e-3, "The learning rate; under one-cycle its highest.", gt=0)
    optimizer: str = flag("AdamW", "A name of torch.optim, with its keywords: SGD:momentum=0.9:nesterov=true.", "NAME")
    loss: str | None = flag(
        None,
        "A name of torch.nn, with its keywords; cross-entropy for classes, squared error for numbers when not given.",
        "NAME",
    )
    schedule: Literal["one-cycle", "constant"] = flag("one-cycle", "How the learning rate goes over the steps.")
    clip: float | None = flag(None, "Scale gradients down to this norm.", gt=0)
    precision: Literal["auto", "float32", "bfloat16"] = flag(
        "auto", "What layers work in; auto is bfloat16 on GPUs that have it."
    )
    best_by: Literal["loss", "metric"] = flag(
        "loss", "What makes an epoch the best on val: metric is accuracy, or mae for numbers."
    )
    patience: int = flag(10, "Stop after so many epochs without a better one on val; 0 never.", ge=0)
    class_weights: bool = flag(False, "Weigh each class by how rare it is in train.")
    flip: bool = flag(False, "Mirror half of the images in each step.")
    shift: int = flag(0, "Shift images by up to so many pixels in each step.", ge=0)
    target_scale: Literal["zscore", "none"] = flag("zscore", "What numbers to be predicted are trained as.")
    split: Ratios = flag(
        (0.8, 0.1, 0.1),
        "For a file without a split: ratios of train, test or train, val, test; 1 trains on all rows.",
        "RATIOS",
    )
    seed: int = flag(0, "Seed of the first weights, the order of rows, dropout, and a split.", ge=0, lt=1 << 63)

    @field_validator("split")
    @classmethod
    def _ratios(cls, split: tuple[float, ...]) -> tuple[float, ...]:
        if len(split) not in (1, 2, 3) or min(split) <= 0 or abs(sum(split) - 1) > 1e-9:
            raise ValueError("give 1, two ratios (train, test) or three (train, val, test) that sum to 1, such as 0.8,0.1,0.1")
        return split
