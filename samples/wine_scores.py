"""An exercise on the wine data: does one measurement tell the good wines from the others?

Run it as:

    python samples/wine_scores.py                          # on the synthetic sample
    python samples/wine_scores.py winequality-white.csv    # on the public file
"""

import sys
from pathlib import Path

import tensorize

path = sys.argv[1] if len(sys.argv) > 1 else Path(__file__).with_name("wine-synthetic.csv")

wine = tensorize.prepare("wine", path, scale="none")
features, score = wine["features"].double(), wine["target"]  # (row, feature) and (row) of scores 0 to 9
names = wine.labels("features", "feature")
print(f"{len(features)} wines, {len(names)} measurements")

groups = {"bad": score <= 3, "mid": (score >= 4) & (score <= 6), "good": score >= 7}
means = {group: features[rows].mean(dim=0) for group, rows in groups.items()}
for group, rows in groups.items():
    print(f"{group:4} {int(rows.sum()):5} rows")
for name, *mean in zip(names, *means.values(), strict=True):
    print(f"{name:22}" + "".join(f"{value:9.2f}" for value in mean))

# The rule: a wine with less sulfur dioxide than the middle group has on average is a good one.
column = names.index("total sulfur dioxide")
predicted = features[:, column] < means["mid"][column]
actual = score > 5
right = int((predicted & actual).sum())
print(f"predicted {int(predicted.sum())}, actual {int(actual.sum())}, right {right}")
print(f"precision {right / int(predicted.sum()):.4f}, recall {right / int(actual.sum()):.4f}")
