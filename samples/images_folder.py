"""A folder of pictures, or class folders, as normalised batches for a network.

Run it as:

    python samples/images_folder.py          # on the synthetic shapes
    python samples/images_folder.py cats/    # on a folder of your own
"""

import sys
from pathlib import Path

from torch.utils.data import DataLoader

import tensorize

folder = sys.argv[1] if len(sys.argv) > 1 else Path(__file__).with_name("shapes-synthetic")

pictures = tensorize.prepare("images", folder, dtype="uint8")
print("images × channels × height × width:", *pictures["images"].shape)

# Stored as pixels, a quarter of the size; the dataset gives them normalised, each channel with mean 0 and std 1.
images, *labels = next(iter(DataLoader(pictures.dataset(), batch_size=len(pictures["images"]))))
print("means:", *(f"{abs(value):.4f}" for value in images.double().mean(dim=(0, 2, 3)).tolist()))
print("stds:", *(f"{value:.4f}" for value in images.double().std(dim=(0, 2, 3)).tolist()))
for count in labels:
    print("pictures of each class:", *count.bincount().tolist())
