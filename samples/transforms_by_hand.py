"""The transforms on bare tensors, one after the other.

Run it as:

    python samples/transforms_by_hand.py
"""

import torch

from tensorize.transforms import Fold, Impute, MinMax, OneHot, Ordinal, Vocabulary, Windows, ZScore, one_hot

hours = torch.tensor([[0, 1, 2, 1], [2, 2, 0, 0]])  # (row, hour): kinds of weather
print("one-hot: ", tuple(one_hot(hours, 3, dim=1).shape), "from", tuple(hours.shape))
print("back: ", torch.equal(OneHot(3, dim=1).inverse(one_hot(hours, 3, dim=1)), hours))

train = torch.tensor([[1.7e9, 1.0], [1.7e9 + 1, 2.0], [1.7e9 + 2, 6.0]], dtype=torch.float64)
zscore = ZScore().fit(train)  # learned here, and used on anything after
print("z-score: ", zscore(train).tolist())
print("min-max: ", MinMax().fit(train)(torch.tensor([[1.7e9 + 4, 11.0]], dtype=torch.float64)).tolist())
print("ordinal: ", Ordinal([1, 2, 6])(train[:, 1]).tolist())

holes = torch.tensor([[1.0], [float("nan")], [5.0]])
print("impute: ", Impute(policy="mean", indicator=True).fit(holes)(holes).tolist())

words = Vocabulary().fit(["the", "cat", "and", "the", "dog"])
print("vocabulary: ", words(["the", "bird", "and", "the", "cat"]).tolist(), "of", words.symbols)

meter = torch.arange(12.0)[:, None]  # (row, channel)
print("fold: ", Fold(4)(meter)[:, 0].tolist())
inputs, target = Windows(3, horizon=2, stride=4)(meter)
print("windows: ", inputs[:, 0].tolist(), "→", target[:, 0].tolist())

# A finished transform is a module: it belongs into a model, and into what is exported from it.
model = torch.nn.Sequential(ZScore(mean=[0.5, 2.0], std=[0.1, 1.0]), torch.nn.Linear(2, 1))
print("model: ", tuple(model(torch.tensor([[0.6, 3.0]])).shape))
