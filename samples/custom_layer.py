"""A layer of one's own with two parameters, w · √(x² + b), whose values are found again from what it made.

Run it as:

    python samples/custom_layer.py
"""

import torch
from torch import Tensor, nn

import tensorize
from tensorize.train import fit


class Hyperbola(nn.Module):
    """w · √(x² + b), of every number by itself. Any shape → the same shape."""

    def __init__(self, w: float = 1.0, b: float = 1.0) -> None:
        super().__init__()
        self.w, self.b = nn.Parameter(torch.tensor(w)), nn.Parameter(torch.tensor(b))

    def forward(self, x: Tensor) -> Tensor:
        return self.w * torch.sqrt(x**2 + self.b)


x = torch.linspace(-3, 3, 301)
with torch.no_grad():
    y = Hyperbola(w=2.0, b=0.5)(x)

data = tensorize.prepare("table", {"x": x.numpy(), "y": y.numpy()}, target="y", task="numbers", scale="none")
layer = Hyperbola()
history = fit(layer, data, lr=0.05, epochs=60, batch_size=16, target_scale="none", patience=0, device="cpu")
print(f"made with w 2, b 0.5; found w {layer.w.item():.4f}, b {layer.b.item():.4f}, loss {history.best.loss:.2g}")
