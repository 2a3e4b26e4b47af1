"""The hourly bike-sharing file as days of channels × 24 hours, with the weather one-hot beside the plain number.

Run it as:

    python samples/bikes_days.py                  # on the synthetic sample, which lacks some hours
    python samples/bikes_days.py hour.csv         # on the public file
"""

import sys
from pathlib import Path

import tensorize

path = sys.argv[1] if len(sys.argv) > 1 else Path(__file__).with_name("bikes-synthetic.csv")

bikes = tensorize.prepare("bikes", path, scale="none", onehot="weathersit", keep="weathersit")
series = bikes["series"]  # (day, channel, hour)
names = bikes.labels("series", "channel")
print("days × channels × hours:", *series.shape)
print("hours filled:", int((bikes["observed"] == 0).sum()))

weather = [channel for channel, name in enumerate(names) if name.startswith("weathersit") and name != "weathersit"]
for channel in weather:
    print(f"{names[channel]}: {int(series[:, channel].sum())} hours")

hired = series[:, names.index("cnt")].double()
by_hour = hired.mean(dim=0)
print(f"bikes hired: {int(hired.sum())}, most at {int(by_hour.argmax())} o'clock")
