"""A mixed table: numbers, categories, an order, missing values; and one new row through the same recipe.

Run it as:

    python samples/houses_table.py
"""

import sys
from pathlib import Path

import tensorize

path = sys.argv[1] if len(sys.argv) > 1 else Path(__file__).with_name("houses-synthetic.csv")

houses = tensorize.prepare(
    "table",
    path,
    target="price",
    id="id",
    ordinal="condition:bad<ok<good",
    missing="median",
    indicator=True,
    split="0.8,0.2",
)
train = houses.split("train")
print("features:", ", ".join(train.labels("features", "feature")))
print("train", tuple(train["features"].shape), "test", tuple(houses.split("test")["features"].shape))

# The recipe knows what was learned from train. A row without the price becomes features without a target.
row = {"id": 1, "rooms": 3, "area": 84.5, "city": "Millbrook", "condition": "ok", "garden": True}
new = houses.recipe.apply(row)
print("one new row:", [round(value, 4) for value in new["features"][0].tolist()])
