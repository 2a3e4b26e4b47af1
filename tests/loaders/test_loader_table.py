"""The table loader: CSV files and tables in memory become features and target."""

import datetime
import gzip
import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import tensorize
from tensorize import DataError, Recipe, UsageError, pipeline, prepare
from tensorize.core import registry
from tensorize.core.contracts import BLOCK_ROWS
from tensorize.loaders.table import read_table
from tensorize.statistics.categories import Categories
from tensorize.transforms.base import Transform

HOUSES = """id,area,rooms,city,heated,price
h1,50,2,Bonn,true,100.5
h2,70,3,Köln,false,150
h3,90,4,Bonn,true,200
h4,60,2,Ulm,false,120
"""


@pytest.fixture
def houses(tmp_path):
    path = tmp_path / "houses.csv"
    path.write_text(HOUSES, encoding="utf-8")
    return path


def table(source, **options):
    return prepare("table", source, **options)


# columns -------------------------------------------------------------------------------------------------------------


def test_columns_become_channels_in_the_declared_order(houses):
    ts = table(houses, id="id", target="price", onehot="city", scale="none")
    assert ts.labels("features", "feature") == ("area", "rooms", "heated", "city=Bonn", "city=Köln", "city=Ulm")
    assert ts["features"].tolist() == [[50, 2, 1, 1, 0, 0], [70, 3, 0, 0, 1, 0], [90, 4, 1, 1, 0, 0], [60, 2, 0, 0, 0, 1]]
    assert ts["target"].tolist() == [100.5, 150, 200, 120]
    assert ts["row"].tolist() == [0, 1, 2, 3]
    assert list(ts.meta["id"]) == ["h1", "h2", "h3", "h4"]


def test_one_hot_blocks_come_after_the_plain_columns_in_the_order_of_the_flags():
    frame = {"b": ["x", "y"], "n": [1.0, 2.0], "a": ["p", "q"], "m": [5, 6]}
    ts = table(frame, onehot=["m", "a"], keep="m", scale="none")
    assert ts.labels("features", "feature") == ("n", "m", "m=5", "m=6", "a=p", "a=q", "b=x", "b=y")


def test_zscore_is_the_sample_one_and_ddof_0_the_population_one():
    values = [1.0, 2.0, 4.0]
    for ddof in (1, 0):
        got = table({"a": values}, ddof=ddof)["features"][:, 0]
        want = (np.array(values) - np.mean(values)) / np.std(values, ddof=ddof)
        assert np.array_equal(got.numpy(), want.astype(np.float32))


def test_scaling_flags_name_their_columns_only():
    frame = {"a": [0.0, 10.0], "b": [0.0, 10.0], "c": [0.0, 10.0], "d": [0.0, 10.0]}
    ts = table(frame, minmax="a", raw="b", zscore="c", scale="none")
    assert ts["features"][1].tolist() == pytest.approx([1, 10, math.sqrt(0.5), 10])


def test_a_column_near_1_7e9_with_a_spread_of_1_is_scaled_right():
    values = 1.7e9 + np.random.default_rng(0).normal(size=200_000)
    got = table({"t": values})["features"][:, 0].double()
    assert abs(got.mean()) < 1e-5
    assert abs(got.std() - 1) < 1e-5


def test_values_that_float32_cannot_hold_are_counted_whatever_the_threads():
    column = {"stamp": pa.array(1.7e9 + np.arange(20 * BLOCK_ROWS) % 2)}
    for threads in (1, 8):
        result = pipeline.prepare("table", column, {"scale": "none"}, pipeline.RunOptions(workers=threads), pipeline.Output())
        assert result.notes == ('"stamp": 655,360 values do not fit float32 exactly; say --zscore or --drop "stamp"',)


def test_a_constant_column_is_zero_and_said(capsys, houses):
    ts = table({"a": [0.1] * 7, "b": list(range(7))})
    assert not ts["features"][:, 0].any()


def test_declared_categories_stand_whether_seen_or_not():
    ts = table({"n": [1, 4, 2], "w": ["b", "a", "b"]}, onehot=["n:1..4", "w:a,b,c"])
    assert ts.labels("features", "feature") == ("n=1", "n=2", "n=3", "n=4", "w=a", "w=b", "w=c")


def test_ordinal_is_the_rank_in_the_declared_order():
    assert table({"q": ["ok", "bad", "good"]}, ordinal="q:bad<ok<good")["features"][:, 0].tolist() == [1, 0, 2]


def test_time_features_are_calendar_parts(write):
    ts = table(write("d,v\n2024-02-29 13:30,1\n2023-01-01 00:00,2\n"), time_features="d:month,weekday,hour", scale="none")
    assert ts.labels("features", "feature") == ("d.month", "d.weekday", "d.hour", "v")
    assert ts["features"].tolist() == [[2, 3, 13, 1], [1, 6, 0, 2]]


def test_any_registered_step_is_reachable():
    ts = table({"a": [1.0, 3.0]}, step="zscore:a:ddof=0")
    assert ts["features"].flatten().tolist() == [-1, 1]


# targets -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "options", "want", "dtype"),
    [
        (["b", "a", "b"], {}, [1, 0, 1], torch.int64),
        ([True, False, True], {}, [1, 0, 1], torch.int64),
        ([7, 3, 7], {}, [1, 0, 1], torch.int64),
        ([7, 3, 7], {"task": "numbers"}, [7, 3, 7], torch.float32),
        ([7.5, 3.5, 7.5], {}, [7.5, 3.5, 7.5], torch.float32),
        ([7.5, 3.5, 7.5], {"task": "classes"}, [1, 0, 1], torch.int64),
        ([7, 3, 7], {"max_categories": 1}, [7, 3, 7], torch.float32),
        ([7, 3, 7], {"onehot": "y"}, [[0, 1], [1, 0], [0, 1]], torch.float32),
    ],
)
def test_the_task_follows_from_the_target(values, options, want, dtype):
    target = table({"x": [1.0, 2.0, 3.0], "y": values}, target="y", **options)["target"]
    assert target.tolist() == want
    assert target.dtype == dtype


def test_a_target_is_scaled_only_when_it_is_named():
    frame = {"x": [1.0, 2.0], "y": [10.5, 20.5]}
    assert table(frame, target="y")["target"].tolist() == [10.5, 20.5]
    assert table(frame, target="y", minmax="y")["target"].tolist() == [0, 1]


def test_several_targets_stand_side_by_side():
    ts = table({"x": [1.0, 2.0], "y": [0.5, 1.5], "z": [2.5, 3.5]}, target="y,z")
    assert ts["target"].tolist() == [[0.5, 2.5], [1.5, 3.5]]
    assert ts.labels("target", "target") == ("y", "z")


# kinds of columns ----------------------------------------------------------------------------------------------------


def test_leading_zeros_are_kept(write):
    ts = table(write("zip,v\n007,1\n010,2\n"))
    assert ts.labels("features", "feature") == ("v", "zip=007", "zip=010")


def test_integers_beyond_int64_are_not_rounded(write):
    path = write("id,v\n9223372036854775808,1\n9223372036854775809,2\n")
    assert table(path).labels("features", "feature") == ("v", "id=9223372036854775808", "id=9223372036854775809")


def test_a_column_widens_over_the_whole_file(write):
    rows = "".join(f"{index},x\n" for index in range(50_000))
    ts = table(write(f"a,b\n{rows}0.5,x\n"), scale="none", drop="b")
    assert ts["features"][-1].item() == 0.5
    assert ts.recipe.schema["a"].storage == "float64"


def test_na_is_a_word_among_words_and_missing_among_numbers(write):
    ts = table(write("country,v\nNA,1\nDE,NA\n"), missing="0", scale="none")
    assert ts["features"].tolist() == [[1, 0, 1], [0, 1, 0]]
    assert ts.labels("features", "feature") == ("v", "country=DE", "country=NA")


def test_the_kind_can_be_overridden(write):
    path = write("code,v\n10,1\n20,2\n")
    assert table(path, type="code:category").labels("features", "feature") == ("v", "code=10", "code=20")
    assert table(write("zip,v\n007,1\n010,2\n"), type="zip:number", scale="none")["features"].tolist() == [[7, 1], [10, 2]]


@pytest.mark.parametrize(
    "text", ["a;b\n1,5;2\n3,25;4\n", "a;b\n1.5;2\n3.25;4\n", "a\tb\n1.5\t2\n3.25\t4\n", "a|b\n1.5|2\n3.25|4\n"]
)
def test_delimiter_and_decimal_mark_are_found(write, text):
    assert table(write(text), scale="none")["features"].tolist() == [[1.5, 2], [3.25, 4]]


def test_quoted_cells_keep_delimiters_newlines_and_quotes(write):
    ts = table(write('a,b\n1,"x, ""y""\nz"\n2,w\n'))
    assert ts.labels("features", "feature") == ("a", "b=w", 'b=x, "y"\nz')


def test_a_file_without_a_header_is_read_and_said(write, tensorize):
    path = write("1,2\n3,4\n")
    assert table(path).labels("features", "feature") == ("c1", "c2")
    assert "no header: columns c1 … c2" in tensorize("table", path, "-o", "o.h5").stdout
    assert table(path, names="a,b").labels("features", "feature") == ("a", "b")


def test_compressed_files_globs_lists_and_standard_input(write, tmp_path, tensorize):
    one = write("a,b\n1,2\n", "p1.csv")
    write("b,a\n4,3\n", "p2.csv")
    packed = tmp_path / "p.csv.gz"
    packed.write_bytes(gzip.compress(b"a,b\n1,2\n3,4\n"))
    want = [[1, 2], [3, 4]]
    assert table(packed, scale="none")["features"].tolist() == want
    assert table(str(tmp_path / "p?.csv"), scale="none")["features"].tolist() == want
    assert table([one, tmp_path / "p2.csv"], scale="none")["features"].tolist() == want
    done = tensorize("table", "-", "--scale", "none", "-o", "o.h5", input="a,b\n1,2\n3,4\n")
    assert done.returncode == 0
    assert tensorize_read(tmp_path / "o.h5").tolist() == want


def tensorize_read(path):
    with tensorize.read(path) as ts:
        return ts["features"]


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "cp1252"])
def test_other_encodings(write, encoding):
    path = write("stadt,v\nKöln,1\nBonn,2\n".encode(encoding))
    assert table(path, encoding=encoding).labels("features", "feature") == ("v", "stadt=Bonn", "stadt=Köln")


@pytest.mark.parametrize(
    "source",
    [
        {"a": [1, 2], "b": ["x", "y"]},
        [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}],
        pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}),
        pa.table({"a": [1, 2], "b": ["x", "y"]}),
    ],
    ids=["columns", "rows", "pandas", "arrow"],
)
def test_tables_in_memory_equal_the_file(source, write):
    assert table(source).equals(table(write("a,b\n1,x\n2,y\n")))


def test_read_table_gives_every_cell_as_text(write):
    path = write('a,b\n007,"x\ny"\n,NA\n')
    assert read_table(path).to_pylist() == [{"a": "007", "b": "x\ny"}, {"a": "", "b": "NA"}]


# missing values ------------------------------------------------------------------------------------------------------

GAPS = "a,b,c\n1,2,x\n,3,\n4,,y\n5,5,y\n"


def test_missing_values_are_an_error_that_names_every_cell(write):
    path = write(GAPS)
    with pytest.raises(DataError) as error:
        table(path)
    said = str(error.value)
    assert "3 values are missing" in said
    for cell in (f"{path}:3  a  (empty)", f"{path}:3  c  (empty)", f"{path}:4  b  (empty)", "--missing drop"):
        assert cell in said


@pytest.mark.parametrize(("policy", "fill"), [("mean", 10 / 3), ("median", 4), ("mode", 1), ("7", 7)])
def test_policies_fill_with_what_was_observed_in_train(write, policy, fill):
    ts = table(write(GAPS), missing=[policy, "c=mode"], scale="none")
    assert ts["features"][1, 0].item() == pytest.approx(fill)
    assert ts["features"][1, 2:].tolist() == [0, 1]


def test_an_indicator_keeps_a_trace(write):
    ts = table(write(GAPS), missing=["mean", "c=none"], indicator=True, scale="none")
    assert ts.labels("features", "feature")[-3:] == ("a is missing", "b is missing", "c is missing")
    assert ts["features"][:, -3:].tolist() == [[0, 0, 0], [1, 0, 1], [0, 1, 0], [0, 0, 0]]


def test_an_indicator_is_for_what_train_rows_lack_where_nothing_else_is_learned(write):
    lacking = "a,b,t\n1,,4\n2,5,3\n,6,2\n4,7,1\n"
    ts = table(write(lacking), missing="0", indicator=True, scale="none", split="0.5,0.5", order="t")
    assert ts.labels("train/features", "feature") == ("a", "b", "a is missing")
    assert ts["train/features"].tolist() == [[0, 6, 1], [4, 7, 0]]
    assert ts["test/features"].tolist() == [[1, 0, 0], [2, 5, 0]]


def test_drop_leaves_the_rows_out(write):
    ts = table(write(GAPS), missing="drop", scale="none")
    assert ts["row"].tolist() == [0, 3]


def test_a_target_is_never_invented(write):
    path = write("a,y\n1,2\n2,\n3,4\n")
    with pytest.raises(DataError, match="1 value is missing"):
        table(path, target="y", missing="mean")
    assert table(path, target="y", missing="drop")["row"].tolist() == [0, 2]


# where, splits -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "rows"),
    [
        ("area > 60", [1, 2]),
        ("area >= 60 and city == Ulm", [3]),
        ("city in (Bonn, 'Ulm') and not heated == true", [3]),
        ("(rooms = 2 or rooms = 3) and price < 140", [0, 3]),
        ("`city` != Bonn", [1, 3]),
        ("id is not missing", [0, 1, 2, 3]),
    ],
)
def test_where_keeps_the_rows_that_fulfil_it(houses, condition, rows):
    assert table(houses, drop="id", where=condition)["row"].tolist() == rows


@pytest.mark.parametrize("condition", ["area >", "area ~ 3", "rooms > many", "aera > 3", "area > 3 area", "__import__('os')"])
def test_where_is_parsed_and_never_evaluated(houses, condition):
    with pytest.raises(UsageError, match="--where"):
        table(houses, drop="id", where=condition)


def numbers(rows):
    generator = np.random.default_rng(0)
    return {"x": generator.normal(size=rows), "c": generator.integers(0, 5, rows), "g": generator.integers(0, 40, rows)}


def test_a_split_has_exact_sizes_keeps_the_order_and_loses_no_row():
    ts = table(numbers(1003), split="0.8,0.1,0.1")
    rows = [ts[f"{name}/row"] for name in ts.splits]
    assert [len(part) for part in rows] == [803, 100, 100]
    assert torch.cat(rows).sort().values.tolist() == list(range(1003))
    assert all((part.diff() > 0).all() for part in rows)
    assert ts.splits == ("train", "val", "test")


def test_two_ratios_are_train_and_test():
    assert table(numbers(100), split=(0.75, 0.25)).splits == ("train", "test")


def test_a_stratified_split_keeps_the_shares():
    ts = table(numbers(1000), split="0.8,0.2", stratify="c", target="c")
    total = np.bincount(torch.cat([ts["train/target"], ts["test/target"]]))
    train = np.bincount(ts["train/target"])
    assert (abs(train - total * 0.8) < 1).all()


def test_groups_are_never_torn():
    frame = numbers(1000)
    ts = table(frame, split="0.5,0.5", group="g")
    groups = [set(frame["g"][ts[f"{name}/row"].numpy()]) for name in ts.splits]
    assert not groups[0] & groups[1]
    assert "g" not in ts.labels("train/features", "feature")


def test_order_splits_by_value():
    frame = numbers(1000)
    ts = table(frame, split="0.5,0.5", order="x")
    assert frame["x"][ts["train/row"].numpy()].max() <= frame["x"][ts["test/row"].numpy()].min()


def test_order_by_date(write):
    ts = table(write("d,v\n2024-03-01,1\n2024-01-01,2\n2024-02-01,3\n2023-01-01,4\n"), order="d", split="0.5,0.5", scale="none")
    assert ts["train/features"].flatten().tolist() == [2, 4]


def test_statistics_come_from_train_rows_only():
    ts = table(numbers(500), split="0.6,0.4", drop="c,g")
    assert abs(ts["train/features"].double().mean()) < 1e-6
    assert abs(ts["train/features"].double().std() - 1) < 1e-6


def test_a_set_that_is_split_says_how_to_get_at_its_tensors():
    ts = table(numbers(100), split="0.8,0.2")
    with pytest.raises(UsageError, match=r'ts\["train/features"\]'):
        ts["features"]
    assert ts.split("train")["features"].equal(ts["train/features"])


# ids -----------------------------------------------------------------------------------------------------------------


def test_ids_expand_to_the_one_hot_set_on_read():
    frame = {"a": [1.0, 2.0, 3.0], "b": ["x", "y", "x"], "c": [5, 6, 7], "m": [1.0, None, 3.0]}
    options = {"onehot": "c", "missing": "m=mean", "indicator": True}
    ids, plain = table(frame, encode="ids", **options), table(frame, **options)
    assert ids["categories"].tolist() == [[0, 0], [1, 1], [2, 0]]
    assert ids.labels("categories", "column") == ("c", "b")
    assert torch.stack([item[0] for item in ids.dataset()]).equal(plain["features"])


def test_an_unseen_category_is_an_error_or_an_all_zero_block():
    for encode in ("onehot", "ids"):
        ts = table({"a": ["x", "y"]}, unseen="unknown", encode=encode)
        applied = ts.recipe.apply({"a": ["z", "y"]})
        assert torch.stack([item[0] for item in applied.dataset()]).tolist() == [[0, 0], [0, 1]]
    with pytest.raises(DataError, match=r"row 0  a  z"):
        table({"a": ["x", "y"]}).recipe.apply({"a": ["z", "y"]})


# recipes -------------------------------------------------------------------------------------------------------------


class Length(Transform):
    """The plug-in of a test: the length of words, none longer than those of train."""

    kinds = frozenset({"category"})
    longest: int

    @classmethod
    def statistic(cls, params):
        return Categories()

    @classmethod
    def observe(cls, column):
        return column

    @classmethod
    def learn(cls, statistic, params):
        return cls(longest=max(map(len, statistic.values)))

    def encode(self, column):
        lengths = np.array([len(word) for word in column.to_pylist()], dtype=np.float64)[:, None]
        return np.where(lengths > self.longest, np.nan, lengths)

    def invalid(self, column):
        return np.isnan(self.encode(column)[:, 0]), "is longer than any in train"


@pytest.fixture
def length(monkeypatch):
    entries, known = {"length": registry.Entry("length", f"{__name__}:Length", "", "somebody")}, registry.table
    monkeypatch.setattr(registry, "table", lambda group: {**known(group), **(entries if group == "transforms" else {})})


@pytest.mark.usefixtures("length")
@pytest.mark.parametrize("role", [{}, {"target": "w"}], ids=["input", "target"])
def test_what_is_unseen_by_a_plug_ins_step_is_an_error(role):
    recipe = table({"w": ["a", "abc"], "n": [1, 2]}, step="length:w", **role).recipe
    assert recipe.apply({"w": ["ab", "abc"], "n": [1, 2]})["features"].isfinite().all()
    with pytest.raises(DataError, match="1 value is refused") as caught:
        recipe.apply({"w": ["ab", "abcd"], "n": [1, 2]})
    assert caught.value.details == ("row 1  w  abcd", "in: w 1", '"w": a value is longer than any in train')


def test_apply_equals_the_original_and_a_row_equals_its_row(houses):
    ts = table(houses, id="id", target="price", missing="mean")
    again = ts.recipe.apply(houses)
    assert again.equals(ts)
    row = ts.recipe.apply({"id": "h3", "area": 90, "rooms": 4, "city": "Bonn", "heated": True})
    assert row["features"][0].equal(ts["features"][2])
    assert "target" not in row


def test_apply_goes_by_name_and_names_what_is_missing(houses):
    ts = table(houses, drop="id", target="price")
    frame = pd.read_csv(houses)
    assert ts.recipe.apply(frame[frame.columns[::-1]])["features"].equal(ts["features"])
    with pytest.raises(DataError, match='columns that the recipe needs are missing: "rooms"'):
        ts.recipe.apply(frame.drop(columns="rooms"))


def test_apply_repeats_where_and_missing_and_never_splits(write):
    text = "a,b\n" + "1,x\n,y\n3,x\n9,y\n" * 5
    ts = table(write(text), where="a is missing or a < 5", missing="median", split="0.6,0.4")
    again = ts.recipe.apply(write(text))
    assert again["row"].tolist() == [row for row in range(20) if row % 4 != 3]
    assert torch.cat([ts["train/row"], ts["test/row"]]).sort().values.equal(again["row"])
    order = torch.searchsorted(again["row"], ts["test/row"])
    assert again["features"][order].equal(ts["test/features"])


def test_inverse_gives_the_columns_back(houses):
    ts = table(houses, target="price", drop="id")
    back = ts.recipe.inverse(ts).to_pydict()
    assert back["area"] == pytest.approx([50, 70, 90, 60])
    assert back["city"] == ["Bonn", "Köln", "Bonn", "Ulm"]
    assert back["price"] == [100.5, 150, 200, 120]


def test_a_recipe_survives_json(houses):
    recipe = table(houses, target="price", drop="id").recipe
    assert Recipe.from_json(recipe.to_json()) == recipe


cells = st.floats(-1e12, 1e12, allow_nan=False)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(cells, st.sampled_from(["red", "green", "blue, or so", 'qu"ote'])), min_size=2, max_size=40))
def test_a_file_equals_the_same_rows_in_memory(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("t") / "d.csv"
    frame = pd.DataFrame(rows, columns=["x", "c"])
    frame.to_csv(path, index=False)
    options = {"onehot": "c", "scale": "none", "type": "x:number"}
    assert table(path, **options).numpy("features").tobytes() == table(frame, **options).numpy("features").tobytes()


# what is refused -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("", {}, ["d.csv is empty"]),
        ("a,b\n", {}, ["a header and no row", "columns: a, b"]),
        ("a,b\n1,2\n3\n4,5,6\n", {}, ["2 rows have not 2 cells", "d.csv:3  1 cell: 3", "d.csv:4  3 cells: 4,5,6"]),
        (
            "a,b\n1,2\nabc,3\n4,5\n",
            {},
            ["mixes numbers and words", "d.csv:3  a  abc", '--onehot "a"', "--na WORD", '--drop "a"'],
        ),
        ("a,b,a\n1,2,3\n", {}, ['d.csv:1  the header names "a" more than once', "--names"]),
        ("a,\n1,2\n", {"header": "yes"}, ["column 2 of the header has no name"]),
        (b"a,b\n\xff\xfe1,2\n", {}, ["1 cell is not utf-8-sig text", "d.csv:2  a  bytes ff fe", "--encoding"]),
        ('a,b\n1,5" x\n2,y\n', {}, ["a quote stands where none belongs", "d.csv:2", "--quote none"]),
        ('a,b\n1,"open\n2,y\n', {}, ["a quote is opened and never closed", "d.csv:2"]),
        ("v,w\ninf,1\n2,2\n", {}, ["1 number is infinite", "d.csv:2  v  inf"]),
        ("d,v\n2011-01-01,1\n2011-01-02,2\n", {}, ['"d" holds dates', "--time-features", "--drop"]),
        ("a|b;c\n1|2;3\n4|5;6\n", {}, ["the delimiter fits two ways", "--delimiter"]),
        (
            "t,v\n" + "".join(f"w{index},1\n" for index in range(101)),
            {},
            ['"t" has more than 100 values', '--drop "t"', "--max-categories"],
        ),
        ("a,y\n1,x\n2,y\n", {"where": "a > 5"}, ["none of 2 rows is left"]),
        ("a,y\n1,x\n2,y\n", {"split": "0.9,0.1"}, ["no row is left for test"]),
    ],
)
def test_wrong_data_is_named(write, text, options, said):
    path = write(text)
    with pytest.raises(DataError) as error:
        table(path, **options)
    for part in said:
        assert part in str(error.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"target": "prize"}, 'there is no column "prize"; did you mean "price"?'),
        ({"drop": "areas,romms"}, '"areas"; did you mean "area"?; "romms"; did you mean "rooms"?'),
        ({"zscore": "area", "minmax": "area"}, '"area" is to be scaled twice'),
        ({"zscore": "city"}, 'zscore takes bool, number; "city" is a category'),
        ({"onehto": "city"}, 'there is no option "onehto"; did you mean "onehot"?'),
        ({"step": "zscoer:area"}, 'there is no transform "zscoer"; did you mean "zscore"?'),
        ({"step": "zscore:area:dof=0"}, 'no parameter "dof"; did you mean "ddof"?'),
        ({"split": "0.8,0.3"}, "sum to 1"),
        ({"split": "0.8,0.2", "stratify": "city", "group": "id"}, "--stratify and --group exclude each other"),
        ({"type": "area:nubmer"}, 'did you mean "number"?'),
        ({"missing": "aera=mean"}, 'there is no input column "aera"'),
        ({"ordinal": "city:Bonn"}, "an order is wanted"),
        ({"drop": "id,area,rooms,city,heated,price"}, "no column is left as an input"),
    ],
)
def test_wrong_calls_are_named(houses, options, said):
    with pytest.raises(UsageError) as error:
        table(houses, **({"drop": "id"} | options))
    assert said in str(error.value)


def test_a_recipe_that_does_not_fit_is_refused():
    good = table({"a": [1.0, 2.0]}).recipe.to_json()
    for text, said in (
        ("{", "not JSON"),
        ("[]", "not a tensorize recipe"),
        (good.replace('"tensorize":1', '"tensorize":2'), "version 2"),
        (good.replace('"kind"', '"kind":"x","kind"'), "twice"),
        (good.replace('"kind"', '"extra":1,"kind"'), "extra"),
    ):
        with pytest.raises(tensorize.RecipeError, match=said):
            Recipe.from_json(text)


def test_dates_in_memory():
    frame = pd.DataFrame({"d": [datetime.datetime(2024, 5, 1, 7), datetime.datetime(2024, 6, 2, 8)], "v": [1.0, 2.0]})
    ts = table(frame, time_features="d:month,hour", scale="none")
    assert ts["features"].tolist() == [[5, 7, 1], [6, 8, 2]]


@pytest.mark.parametrize("ids", [["1234567890123456789", "", "1234567890123456790"], ["1", "NA", "3"], ["", "2", "3"]])
def test_an_integer_id_that_is_missing_is_told_and_the_ways_out_work(tmp_path, ids):
    path = tmp_path / "s.csv"
    path.write_text("order,qty\n" + "".join(f"{one},{row}\n" for row, one in enumerate(ids)))
    with pytest.raises(DataError, match="1 row has no id") as error:
        prepare("table", path, id="order")
    assert f"s.csv:{2 + [one.isdigit() for one in ids].index(False)}" in str(error.value)
    assert '--type "order:category"' in error.value.hint
    assert len(prepare("table", path, id="order", type="order:category")["features"]) == 3
    kept = prepare("table", path, id="order", where="order is not missing")
    assert kept["id"].tolist() == [int(one) for one in ids if one.isdigit()]


def test_classes_out_of_the_order_of_their_numbers_are_noted(tensorize, tmp_path):
    rows = "".join(f"{row}.5,c{row % 3 * 5}\n" for row in range(1, 10))
    (tmp_path / "t.csv").write_text("x,y\n" + rows)
    done = tensorize("table", "t.csv", "--target", "y", "-o", "t.h5")
    assert 'note: classes are in the order of their names, not of their numbers: label 1 is "c10"' in done.stdout
    (tmp_path / "t.csv").write_text("x,y\n" + rows.replace(",c", ","))
    done = tensorize("table", "t.csv", "--target", "y", "-o", "n.h5")
    assert "class index of y: 0, 5, 10" in done.stdout
    assert "order of their names" not in done.stdout
