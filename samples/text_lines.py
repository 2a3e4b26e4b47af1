"""A line of text as one-hot characters and as word ids, and back.

Run it as:

    python samples/text_lines.py               # line 6 of the synthetic sample
    python samples/text_lines.py 1342-0.txt 201
"""

import sys
from pathlib import Path

import tensorize

path = sys.argv[1] if len(sys.argv) > 1 else Path(__file__).with_name("text-synthetic.txt")
line = sys.argv[2] if len(sys.argv) > 2 else "6"

chars = tensorize.prepare("text", path, level="char", lines=f"{line}:{line}")
print("characters × codes:", *chars["onehot"].shape)

words = tensorize.prepare("text", path, level="word", lines=f"{line}:{line}")
onehot = words["onehot"]  # (token, word) over the vocabulary of the whole text
ids = onehot.argmax(dim=1)
print("words × vocabulary:", *onehot.shape)
print("ids:", *ids.tolist())
print("back:", *words.recipe.inverse(words))
