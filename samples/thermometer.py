"""A thermometer without a unit: find w and b in t_c = w · t_u + b, by hand-written gradients, autograd, an optimiser.

Run it as:

    python samples/thermometer.py
"""

import torch
from torch import Tensor, nn

import tensorize
from tensorize.train import fit

t_c = [0.5, 14.0, 15.0, 28.0, 11.0, 8.0, 3.0, -4.0, 6.0, 13.0, 21.0]  # °C
t_u = [35.7, 55.9, 58.2, 81.9, 56.3, 48.9, 33.9, 21.8, 48.4, 60.4, 68.4]  # in the unknown unit
t_un = [0.1 * reading for reading in t_u]  # w and b now have gradients of like size, and one rate serves both

EPOCHS, RATE = 5000, 1e-2
x, y = torch.tensor(t_un, dtype=torch.float64), torch.tensor(t_c, dtype=torch.float64)


def squared_error(predicted: Tensor) -> Tensor:
    return ((predicted - y) ** 2).mean()


def by_hand() -> float:
    """The chain rule on paper: d loss / d predicted, times d predicted / d w and / d b."""
    w, b = torch.ones((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    for _ in range(EPOCHS):
        loss = squared_error(w * x + b)
        error = 2 * (w * x + b - y) / len(y)
        w, b = w - RATE * (error * x).sum(), b - RATE * error.sum()
    return loss.item()


def by_autograd() -> float:
    """The same gradients, out of the graph that torch records."""
    w = torch.ones((), dtype=torch.float64, requires_grad=True)
    b = torch.zeros((), dtype=torch.float64, requires_grad=True)
    for _ in range(EPOCHS):
        loss = squared_error(w * x + b)
        loss.backward()
        with torch.no_grad():
            for parameter in (w, b):
                parameter.sub_(RATE * parameter.grad)
                parameter.grad = None
    return loss.item()


def line() -> nn.Linear:
    """The line w · x + b as a module, from w = 1 and b = 0 on."""
    module = nn.Linear(1, 1)
    nn.init.ones_(module.weight)
    nn.init.zeros_(module.bias)
    return module


def by_optimiser(readings: list[float]) -> float:
    """The same steps by torch.optim.SGD, in the trainer's loop: all eleven rows are one batch."""
    data = tensorize.prepare("table", {"reading": readings, "celsius": t_c}, target="celsius", scale="none")
    plain = {"schedule": "constant", "target_scale": "none", "split": "1"}
    history = fit(line(), data, optimizer="SGD", lr=RATE, epochs=EPOCHS, batch_size=len(t_c), device="cpu", **plain)
    return history[-1].loss


print(f"by hand: loss {by_hand():.6g}")
print(f"by autograd: loss {by_autograd():.6g}")
print(f"by an optimiser: loss {by_optimiser(t_un):.6g}")
try:
    by_optimiser(t_u)
except tensorize.DataError as error:
    print("with the raw readings:", error)
