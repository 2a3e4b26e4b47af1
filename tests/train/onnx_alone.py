"""Predict from raw files with onnxruntime, numpy and Pillow alone: what a service would do that has no torch.

    onnx_alone.py table|windows|images MODEL.onnx SOURCE [DELIMITER [ROW…]]

Prints {"values": …, "classes": …, "paths": …}. Everything that it knows of the model stands in the file's metadata.
"""

import csv
import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime

NUMBERS = {"": float("nan"), "true": 1.0, "false": 0.0}


def number(cell):
    return NUMBERS[cell] if cell in NUMBERS else float(cell)


def of_rows(rows, ports, ids):
    """One array for each port, (row, …)."""
    given = {}
    for port in ports:
        if port["kind"] == "numbers":
            given[port["name"]] = np.array([[number(row[name]) for name in port["columns"]] for row in rows])
        else:
            place = {"": ids["missing"]} | {value: index for index, value in enumerate(port["vocabulary"])}
            given[port["name"]] = np.array([place.get(row[port["column"]], ids["unseen"]) for row in rows])
    return given


def windows(rows, starts, length):
    """(row, …) of all rows → (window, …, step)."""
    cut = {name: np.stack([x[at : at + length] for at in starts]) for name, x in rows.items()}
    return {name: np.ascontiguousarray(x.swapaxes(1, 2)) if x.ndim == 3 else x for name, x in cut.items()}


def pictures(folder):
    """The paths of all pictures, and their pixels (row, channel, height, width)."""
    from PIL import Image

    paths = sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*.*"))
    pixels = [np.asarray(Image.open(Path(folder) / path).convert("RGB")).transpose(2, 0, 1) for path in paths]
    return paths, np.stack(pixels)


def main(kind, model, source, *rest):
    session = onnxruntime.InferenceSession(model)
    metadata = session.get_modelmeta().custom_metadata_map
    ports, ids = json.loads(metadata["tensorize.inputs"]), json.loads(metadata["tensorize.ids"])
    paths = []
    if kind == "images":
        paths, pixels = pictures(source)
        given = {ports[0]["name"]: pixels}
    else:
        with open(source, newline="") as file:
            given = of_rows(list(csv.DictReader(file, delimiter=rest[0])), ports, ids)
        if kind == "windows":
            given = windows(given, [int(row) for row in rest[1:]], session.get_inputs()[0].shape[2])
    values = session.run(None, given)[0].tolist()
    assert "tensorize" not in sys.modules
    assert "torch" not in sys.modules
    print(json.dumps({"values": values, "classes": json.loads(metadata["tensorize.output"]).get("classes"), "paths": paths}))


if __name__ == "__main__":
    main(*sys.argv[1:])
