"""An hourly meter as training windows: a week goes in, the next day is to be predicted.

Run it as:

    python samples/meter_windows.py
"""

import sys
from pathlib import Path

from torch.utils.data import DataLoader

import tensorize

path = sys.argv[1] if len(sys.argv) > 1 else Path(__file__).with_name("meter-synthetic.csv")

meter = tensorize.prepare(
    "series",
    path,
    time="stamp",
    step="1h",
    gaps="interpolate",
    window=168,
    horizon=24,
    target="kwh",
    split="0.7,0.3",
)
for name in meter.splits:
    part = meter.split(name)
    print(f"{name}: series {tuple(part['series'].shape)}, target {tuple(part['target'].shape)}")

# The mean and std were learned from the train hours alone; every window starts inside its own split.
for inputs, target in DataLoader(meter.split("train").dataset(), batch_size=32, shuffle=True):
    print("one batch:", tuple(inputs.shape), "→", tuple(target.shape))
    break
