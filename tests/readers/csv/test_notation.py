"""Numbers with signs around them, and words for true and false."""

from typing import Any

import pyarrow as pa
import pytest
from conftest import WriteTable

from tensorize import pipeline, prepare
from tensorize.core.errors import DataError


def first(path: Any, **options: Any) -> list[float]:
    return [round(float(value), 3) for value in prepare("table", path, scale="none", **options)["features"][:, 0]]


@pytest.mark.parametrize(
    ("cells", "options", "want"),
    [
        (["$100,000", "$1.5", "-$3"], {"strip": "$", "thousands": ","}, [100000, 1.5, -3]),
        (["5%", "-7.5 %", "8"], {"strip": "%"}, [5, -7.5, 8]),
        (["(200)", "150", "(35)"], {"strip": "()"}, [-200, 150, -35]),
        (["($1,200)", "$(3)", "$4"], {"strip": "$()", "thousands": ","}, [-1200, -3, 4]),
        (["€ 1", "2 €", "+3€"], {"strip": "€"}, [1, 2, 3]),
    ],
)
@pytest.mark.parametrize("size", [8, 1 << 20])
def test_signs_are_taken_off_numbers_where_a_flag_says_so(
    write: WriteTable, cells: list[str], options: dict[str, Any], want: list[float], size: int
) -> None:
    path = write("a;b\n" + "".join(f"{cell};{at}\n" for at, cell in enumerate(cells)))
    assert first(path, chunk_bytes=size, **options) == want
    with pytest.raises(DataError, match=r"1 column (holds|mixes) numbers"):
        prepare("table", path, target="a")
    assert prepare("table", path, onehot="a")["features"].shape == (3, 4)


@pytest.mark.parametrize(
    ("cell", "said"),
    [("$1{}", "--strip '$'"), ("{}%", "--strip '%'"), ("({})", "--strip '()'"), ("$1,00{}", "--thousands ','")],
)
def test_a_target_of_numbers_with_signs_is_no_class(write: WriteTable, cell: str, said: str) -> None:
    path = write("a;b\n" + "".join(f"{cell.format(at)};{at * at}\n" for at in range(9)))
    with pytest.raises(DataError) as error:
        prepare("table", path, target="a")
    assert "1 column holds numbers with" in str(error.value)
    assert said in error.value.hint
    strip = error.value.hint.split("'")[1]
    assert first(path, strip=strip, **({"thousands": ","} if "," in cell else {}))


@pytest.mark.parametrize("cells", ["yes,no,YES", "T,F,t", "1,0,1", "true,FALSE,True", "on,off,on", "y,n,1"])
def test_a_column_that_is_said_to_be_bool_takes_every_word_for_it(write: WriteTable, cells: str) -> None:
    path = write("n,f\n" + "".join(f"{at},{cell}\n" for at, cell in enumerate(cells.split(","))))
    made = prepare("table", path, type="f:bool")
    assert made["features"][:, 1].tolist() == [1, 0, 1]
    assert made.recipe.apply(path)["features"][:, 1].tolist() == [1, 0, 1]
    held = pa.table({"n": [0, 1, 2], "f": cells.split(",")})
    assert prepare("table", held, type="f:bool")["features"][:, 1].tolist() == [1, 0, 1]


def test_other_words_are_not_bool(write: WriteTable) -> None:
    with pytest.raises(DataError, match="maybe"):
        prepare("table", write("n,f\n1,yes\n2,no\n3,maybe\n"), type="f:bool")
    for cells in ([1, 0, 2], [1.0, 0.5, 0.0], ["yes", "no", "maybe"]):
        with pytest.raises(DataError, match=r"row \d: .* is neither true nor false"):
            prepare("table", pa.table({"n": [1, 2, 3], "f": cells}), type="f:bool")
    assert prepare("table", pa.table({"n": [1, 2, 3], "f": [1.0, 0.0, None]}), type="f:bool", missing="drop")[
        "row"
    ].tolist() == [0, 1]


@pytest.mark.parametrize("word", ["NA", "NaN", "null", "N/A", ""])
@pytest.mark.parametrize("size", [6, 1 << 20])
def test_a_word_for_missing_among_true_and_false_is_missing(write: WriteTable, word: str, size: int) -> None:
    path = write(f"flag,n\nTRUE,1\n{word},2\nFALSE,3\n")
    with pytest.raises(DataError, match="1 value is missing"):
        prepare("table", path)
    run = pipeline.make_run(chunk_bytes=size)
    made = pipeline.prepare("table", path, {"missing": "mode", "scale": "none"}, run, pipeline.make_output(None)).tensors
    assert made["features"][:, 0].tolist() == [1, 0, 0]
