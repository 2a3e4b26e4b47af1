"""A net of two layers in eight ways: from numpy's matrix products to a module that is another net at every step.

64 samples of 1000 random numbers, 100 hidden units, 10 outputs that are random, too; the loss is the sum of the squares.
The first four ways start from the same weights and take the same steps, so they end at the same loss. The last three go
through the trainer, with the module passed in.

Run it as:

    python samples/two_layer_net.py
"""

from collections.abc import Callable
from random import Random

import torch
from torch import Tensor, nn

import tensorize
from tensorize.train import fit

N, D_IN, H, D_OUT = 64, 1000, 100, 10
STEPS, RATE = 500, 1e-6

torch.set_num_threads(1)  # more of them only wait for each other over matrices this small
torch.manual_seed(0)
x = torch.randn(N, D_IN, dtype=torch.float64)
y = torch.randn(N, D_OUT, dtype=torch.float64)
start1 = torch.randn(D_IN, H, dtype=torch.float64)
start2 = torch.randn(H, D_OUT, dtype=torch.float64)


def in_numpy() -> float:
    """The chain rule by hand, from the loss back to both weights."""
    a, b, w1, w2 = x.numpy(), y.numpy(), start1.numpy().copy(), start2.numpy().copy()
    for _ in range(STEPS):
        hidden = a.dot(w1)
        rectified = hidden.clip(min=0)
        error = rectified.dot(w2) - b
        of_output = 2 * error
        of_hidden = of_output.dot(w2.T) * (hidden > 0)
        w2 -= RATE * rectified.T.dot(of_output)
        w1 -= RATE * a.T.dot(of_hidden)
    return float((error**2).sum())


def in_tensors() -> Tensor:
    """The same on tensors, which can live on any device."""
    w1, w2 = start1.clone(), start2.clone()
    for _ in range(STEPS):
        hidden = x @ w1
        rectified = hidden.clamp(min=0)
        error = rectified @ w2 - y
        of_output = 2 * error
        of_hidden = (of_output @ w2.T) * (hidden > 0)
        w2 -= RATE * rectified.T @ of_output
        w1 -= RATE * x.T @ of_hidden
    return (error**2).sum()


class ReLU(torch.autograd.Function):
    """An operation of one's own: how it goes forward, and how a gradient goes back through it."""

    @staticmethod
    def forward(context: torch.autograd.function.FunctionCtx, given: Tensor) -> Tensor:
        context.save_for_backward(given)
        return given.clamp(min=0)

    @staticmethod
    def backward(context: torch.autograd.function.FunctionCtx, gradient: Tensor) -> Tensor:
        (given,) = context.saved_tensors
        return gradient * (given > 0)


def in_autograd(relu: Callable[[Tensor], Tensor] = torch.relu) -> Tensor:
    """Only the way forward is written down; torch finds the gradients."""
    w1, w2 = start1.clone().requires_grad_(), start2.clone().requires_grad_()
    for _ in range(STEPS):
        loss = ((relu(x @ w1) @ w2 - y) ** 2).sum()
        loss.backward()
        with torch.no_grad():
            for weights in (w1, w2):
                weights.sub_(RATE * weights.grad)
                weights.grad = None
    return loss.detach()


def with_own_relu() -> Tensor:
    return in_autograd(ReLU.apply)


def as_sequential() -> Tensor:
    """Layers one after the other; the step is still taken by hand."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(D_IN, H), nn.ReLU(), nn.Linear(H, D_OUT)).double()
    for _ in range(STEPS):
        loss = nn.functional.mse_loss(model(x), y, reduction="sum")
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.sub_(1e-4 * parameter.grad)
    return loss.detach()


table = tensorize.prepare(
    "table", torch.cat([x, y], dim=1).numpy(), target=[f"c{D_IN + 1 + k}" for k in range(D_OUT)], scale="none"
)


def trained(model: nn.Module, optimiser: str) -> float:
    """The trainer's loop, with one batch of all rows and the loss of the tutorial: what an optimiser is for."""
    plain = {"schedule": "constant", "target_scale": "none", "split": "1", "batch_size": N, "epochs": STEPS}
    history = fit(model, table, loss="MSELoss:reduction=sum", optimizer=optimiser, lr=1e-4, device="cpu", workers=1, **plain)
    return history[-1].loss


def with_optimiser() -> float:
    return trained(nn.Sequential(nn.Linear(D_IN, H), nn.ReLU(), nn.Linear(H, D_OUT)), "Adam")


class TwoLayerNet(nn.Module):
    """A module of one's own: its parts, and how data go through them."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(D_IN, H), nn.Linear(H, D_OUT)

    def forward(self, rows: Tensor) -> Tensor:
        return self.second(self.first(rows).clamp(min=0))


def as_module() -> float:
    return trained(TwoLayerNet(), "SGD")


class DynamicNet(nn.Module):
    """None to three hidden layers, drawn anew at each step, which all share one set of weights."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.middle, self.last = nn.Linear(D_IN, H), nn.Linear(H, H), nn.Linear(H, D_OUT)
        self.draws = Random(0)

    def forward(self, rows: Tensor) -> Tensor:
        hidden = self.first(rows).clamp(min=0)
        for _ in range(self.draws.randint(0, 3)):
            hidden = self.middle(hidden).clamp(min=0)
        return self.last(hidden)


def as_dynamic_net() -> float:
    return trained(DynamicNet(), "SGD:momentum=0.9")


for way in (in_numpy, in_tensors, in_autograd, with_own_relu, as_sequential, with_optimiser, as_module, as_dynamic_net):
    print(f"{way.__name__}: loss {float(way()):.6g} after {STEPS} steps")
