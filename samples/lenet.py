"""LeNet: two convolutions and three linear layers, as the tutorials have it. One step on one random picture of 1×32×32.

Run it as:

    python samples/lenet.py

`samples/digits.py` and `samples/cifar10.py` train it; from the shell, in this folder: `--model lenet:LeNet`.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class LeNet(nn.Module):
    """(row, channel, 32, 32) → (row, output). `inputs` is the shape of one row: (1, 32, 32), or (3, 32, 32) in colour."""

    def __init__(self, inputs: Sequence[int] = (1, 32, 32), outputs: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs[0], 6, 5)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.max_pool2d(functional.relu(self.conv1(x)), 2)  # (row, 6, 14, 14)
        x = functional.max_pool2d(functional.relu(self.conv2(x)), 2)  # (row, 16, 5, 5)
        x = functional.relu(self.fc1(x.flatten(1)))
        x = functional.relu(self.fc2(x))
        return self.fc3(x)


def main() -> None:
    torch.manual_seed(0)
    net = LeNet()
    shapes = [tuple(parameter.shape) for parameter in net.parameters()]
    print(f"{len(shapes)} parameters, {sum(parameter.numel() for parameter in net.parameters()):,} numbers:", *shapes)

    picture, target = torch.randn(1, 1, 32, 32), torch.randn(1, 10)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.01)
    for step in range(2):
        output = net(picture)
        loss = functional.mse_loss(output, target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        print(f"step {step}: output {tuple(output.shape)}, loss {loss.item():.4f}")


if __name__ == "__main__":
    main()
