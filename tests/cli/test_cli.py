"""The command line: what a user types, what comes out, and the exit code."""

import hashlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import pyarrow.parquet as pq
import pytest
import torch
from tensorize_cli.group import load_command

import tensorize as library
from tensorize.core import registry

TABLE = "area,city,price\n50,Bonn,1\n70,Ulm,2\n90,Bonn,3\n60,Ulm,4\n80,Bonn,5\n"
COMMANDS = ["apply", "inspect", "convert", "verify", "fetch", "plugins"]


@pytest.fixture
def source(tmp_path):
    (tmp_path / "d.csv").write_text(TABLE)
    return "d.csv"


def left(folder):
    """What lies in a folder, hidden files included."""
    return sorted(os.listdir(folder))


def test_a_run_prints_what_was_made_and_the_next_step(tensorize, source):
    done = tensorize("table", source, "--target", "price", "--task", "numbers", "--split", "0.6,0.4", "-o", "d.h5")
    assert done.returncode == 0
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[0].startswith('d.csv   5 rows × 3 columns   delimiter ","')
    assert (
        " ".join(lines[1].split()) == "features float32 (row, feature) train 3×3 test 2×3 z-score, one-hot, learned from train"
    )
    assert " ".join(lines[2].split()) == "target float32 (row) train 3 test 2 raw"
    assert lines[-1] == "next: tensorize inspect d.h5"


def test_the_engine_and_its_workers_change_nothing(tensorize, source, tmp_path):
    assert tensorize("table", source, "-o", "a.h5").returncode == 0
    done = tensorize("table", source, "-o", "b.h5", "--engine", "processes", "--workers", 2)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    for number, flag in enumerate(("--workers", "--threads")):
        assert tensorize("apply", "a.h5", source, "-o", f"{number}.h5", "--engine", "processes", flag, 1).returncode == 0
    assert (tmp_path / "0.h5").read_bytes() == (tmp_path / "1.h5").read_bytes()
    found = tensorize("table", source, "-o", "c.h5", "--engine", "process")
    assert found.returncode == 2
    assert 'there is no engine "process"; did you mean "processes"?' in found.stderr
    both = tensorize("table", source, "-o", "c.h5", "--workers", 2, "--threads", 2)
    assert both.returncode == 2
    assert not (tmp_path / "c.h5").exists()


def test_without_o_the_result_stands_beside_under_the_same_name(tensorize, source, tmp_path):
    assert tensorize("table", source).returncode == 0
    assert (tmp_path / "d.h5").exists()


def test_every_format_by_its_suffix_or_by_name(tensorize, source, tmp_path):
    for name in ("a.h5", "a.hdf5", "a.pt", "a.pth"):
        assert tensorize("table", source, "-o", name).returncode == 0
    assert tensorize("table", source, "-o", "a.data", "--format", "pt").returncode == 0
    assert torch.load(tmp_path / "a.data", weights_only=True)["features"].shape == (5, 4)
    with h5py.File(tmp_path / "a.hdf5") as file:
        assert file["features"].shape == (5, 4)


def test_an_existing_file_is_kept_unless_force_is_said(tensorize, source, tmp_path):
    (tmp_path / "d.h5").write_text("mine")
    done = tensorize("table", source, "-o", "d.h5")
    assert done.returncode == 2
    assert "d.h5 exists" in done.stderr
    assert "--force" in done.stderr
    assert (tmp_path / "d.h5").read_text() == "mine"
    assert tensorize("table", source, "-o", "d.h5", "--force").returncode == 0
    assert tensorize("inspect", "d.h5").returncode == 0


def test_a_dry_run_shows_everything_and_writes_nothing(tensorize, source, tmp_path):
    done = tensorize("table", source, "-o", "d.h5", "--dry-run")
    assert done.returncode == 0
    for part in ("area", "number", "int64", "category", "features", "5×4", "row", "d.h5", "dry run"):
        assert part in done.stdout
    assert left(tmp_path) == ["d.csv"]


def test_json_is_one_object_for_results_and_for_errors(tensorize, source):
    done = tensorize("table", source, "-o", "d.h5", "--json")
    body = json.loads(done.stdout)
    assert body["tensorize_json"] == 1
    assert body["command"] == "table"
    assert [tensor["key"] for tensor in body["tensors"]] == ["features", "row"]
    assert body["output"]["bytes"] > 0
    failed = tensorize("table", source, "-o", "d.h5", "--json")
    error = json.loads(failed.stdout)["error"]
    assert (failed.returncode, error["exit_code"]) == (2, 2)
    assert error["what"] == "d.h5 exists"
    assert json.loads(tensorize("inspect", "d.h5", "--json").stdout)["recipe"]["kind"] == "table"
    assert json.loads(tensorize("plugins", "--json").stdout)["parts"]


def test_quiet_says_nothing(tensorize, source):
    done = tensorize("table", source, "-o", "d.h5", "-q")
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["tabel", "d.csv"], 2, 'there is no command "tabel"; did you mean "table"?'),
        (["table", "c.csv"], 2, 'there is no file c.csv; did you mean "d.csv"?'),
        (["table", "no/c.csv"], 2, "the folder no does not exist"),
        (["table", "d.csv", "-o", "d.h6"], 2, 'did you mean ".h5"?'),
        (["table", "d.csv", "-o", "d"], 2, "a name without a suffix"),
        (["table", "d.csv", "-o", "no/d.h5"], 2, "the folder no does not exist"),
        (["table", "d.csv", "--onehto", "city"], 2, "--onehot"),
        (["table", "d.csv", "--scale", "log"], 2, "log"),
        (["table", "d.csv", "--split", "0.5"], 2, "--split"),
        (["table", "d.csv", "--max-size", "1B"], 2, "--encode ids"),
        (["table", "d.csv", "--max-size", "many"], 2, "is no size"),
        (["table", "d.csv", "--max-size", "9" * 400], 2, "is more than any machine has"),
        (["table", "d.csv", "--chunk-bytes", "1000001TB"], 2, "is more than any machine has"),
        (["table", "d.csv", "--max-cell", "9" * 400 + "TiB"], 2, "is more than any machine has"),
        (["images", ".", "--max-memory", "9" * 400], 2, "is more than any machine has"),
        (["inspect", "d.csv", "--max-header", "9" * 400], 2, "is more than any machine has"),
        (["table", "d.csv", "--threads", "0"], 2, "threads"),
        (["table", "d.csv", "--format", "hdf"], 2, 'did you mean "hdf5"?'),
        (["table"], 2, "SOURCE"),
        (["apply", "d.csv", "d.csv"], 2, "is raw data, not a prepared file"),
        (["inspect", "none.h5"], 2, "there is no file none.h5"),
        (["convert", "none.h5", "a.pt"], 2, "there is no file none.h5"),
        (["fetch", "wien"], 2, 'did you mean "wine"?'),
    ],
)
def test_wrong_calls_say_so_and_leave_nothing(tensorize, source, tmp_path, args, code, said):
    done = tensorize(*args)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert left(tmp_path) == ["d.csv"]


def test_wrong_data_end_with_1_and_leave_nothing(tensorize, tmp_path):
    (tmp_path / "d.csv").write_text("a,b\n1,2\n,3\n")
    done = tensorize("table", "d.csv", "-o", "d.h5")
    assert done.returncode == 1
    assert "d.csv:3  a  (empty)" in done.stderr
    assert left(tmp_path) == ["d.csv"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written(tensorize, source, tmp_path):
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o500)
    done = tensorize("table", source, "-o", "closed/d.h5")
    assert done.returncode == 1
    assert "closed/d.h5 cannot be written" in done.stderr


def test_a_target_on_a_file_system_that_refuses(tensorize, source):
    done = tensorize("table", source, "-o", "/proc/d.h5")
    assert done.returncode == 1
    assert "/proc/d.h5 cannot be written" in done.stderr


def test_a_traceback_comes_only_with_debug(tensorize, tmp_path):
    (tmp_path / "d.csv").write_text("a\n")
    assert "Traceback" not in tensorize("table", "d.csv").stderr
    assert "Traceback" in tensorize("table", "d.csv", "--debug").stderr


def test_apply_is_the_original_and_says_when_the_target_is_missing(tensorize, source, tmp_path):
    tensorize("table", source, "--target", "price", "--task", "numbers", "-o", "d.h5")
    assert tensorize("apply", "d.h5", source, "-o", "a.h5").returncode == 0
    assert digest(tmp_path / "a.h5") == digest(tmp_path / "d.h5")
    (tmp_path / "new.csv").write_text("city,area\nUlm,55\n")
    done = tensorize("apply", "d.h5", "new.csv", "-o", "new.h5")
    assert done.returncode == 0
    assert done.stdout.count("the target column is not there") == 1
    with library.read(tmp_path / "new.h5") as ts:
        assert list(ts) == ["features", "row"]


def test_a_recipe_alone_can_be_applied(tensorize, source, tmp_path):
    tensorize("table", source, "-o", "d.h5")
    (tmp_path / "recipe.json").write_text(tensorize("inspect", "d.h5", "--recipe").stdout)
    assert tensorize("apply", "recipe.json", source, "-o", "a.h5").returncode == 0
    assert digest(tmp_path / "a.h5") == digest(tmp_path / "d.h5")


def test_convert_there_and_back_is_the_same_file(tensorize, source, tmp_path):
    tensorize("table", source, "--split", "0.6,0.4", "-o", "d.h5")
    assert tensorize("convert", "d.h5", "d.pt").returncode == 0
    assert tensorize("convert", "d.pt", "e.h5").returncode == 0
    assert digest(tmp_path / "d.h5") == digest(tmp_path / "e.h5")


def test_verify_finds_a_changed_byte(tensorize, source, tmp_path):
    for name in ("d.h5", "d.pt"):
        tensorize("table", source, "-o", name)
        assert tensorize("verify", name).returncode == 0
        data = bytearray((tmp_path / name).read_bytes())
        data[len(data) // 2] ^= 1
        (tmp_path / name).write_bytes(data)
        assert tensorize("verify", name).returncode == 1


def test_names_out_of_a_file_cannot_command_the_terminal(tensorize, tmp_path):
    (tmp_path / "d.csv").write_text("a\x1b[2Jb,c\n1,x\x07\n2,y\n")
    done = tensorize("table", "d.csv", "-o", "d.h5", "-v")
    shown = done.stdout + tensorize("inspect", "d.h5").stdout
    assert "\\x1b[2J" in shown
    assert not {"\x1b", "\x07"} & set(shown)


PANDAS = """
import sys
sys.argv = ["tensorize", *sys.argv[1:]]
from tensorize.core import registry
from tensorize_cli.group import load_command
import tensorize_cli.main as command
if "plugged" in sys.argv[-1]:
    entry = registry.Entry("mine", "tensorize.exporters.pt.exporter:Pt", "", "somebody")
    more = {"exporters": {"mine": entry}}
    registry.table = lambda group, table=registry.table: {**table(group), **more.get(group, {})}
command.leave = lambda code: print("pandas" in sys.modules)
try: command.main()
except SystemExit: pass
"""


@pytest.mark.parametrize(
    ("arguments", "out", "wanted"),
    [
        (["table", "d.csv", "--onehot", "word", "--missing", "median", "--time-features", "at"], "d.h5", "False"),
        (
            ["series", "d.csv", "--time", "at", "--window", "3", "--step", "1h", "--drop", "word", "--missing", "median"],
            "s.h5",
            "False",
        ),
        (["apply", "r.json", "d.csv"], "a.h5", "False"),
        (["table", "d.csv", "--onehot", "word", "--missing", "median", "--time-features", "at"], "plugged.h5", "True"),
    ],
)
def test_pandas_is_not_imported_for_pyarrow_unless_somebody_elses_part_may_run(tmp_path, arguments, out, wanted):
    rows = [f"2024-01-01 {hour:02}:00:00,{'' if hour == 7 else hour},{'ab'[hour % 2]}" for hour in range(20)]
    (tmp_path / "d.csv").write_text("at,n,word\n" + "\n".join(rows) + "\n")
    import tensorize as library

    library.prepare("table", tmp_path / "d.csv", onehot="word", missing="median", time_features="at").recipe.save(
        tmp_path / "r.json"
    )
    command = [sys.executable, "-c", PANDAS, *arguments, "-q", "-o", out]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.split() == [wanted], done.stderr
    assert (tmp_path / out).exists()
    verified = subprocess.run(
        [sys.executable, "-m", "tensorize", "verify", out], cwd=tmp_path, capture_output=True, check=False
    )
    assert verified.returncode == 0


FRAMES = """
import sys
from tensorize.core import registry
import tensorize_cli.main as command
import pyarrow
from tensorize.loaders.table import Table

class Frames(Table):
    def open(self, source, options, run, schema=None):
        pyarrow.array([1])
        assert "pandas" not in sys.modules
        return super().open(frame(source), options, run, schema)

def frame(source):
    {import_}
    read = pandas.read_csv(source)
    return {{"n": pyarrow.array(read["n"]), "m": pyarrow.Table.from_pandas(read).column("n").combine_chunks()}}

registry.LOADERS["frames"] = ("__main__:Frames", "A table through pandas.")
command.main()
"""


@pytest.mark.parametrize("import_", ["import pandas", "pandas = __import__('importlib').import_module('pandas')"])
def test_a_built_in_loader_may_import_pandas(tmp_path, import_):
    (tmp_path / "d.csv").write_text('n\n1\n""\n3\n')
    command = [sys.executable, "-c", FRAMES.format(import_=import_), "frames", "d.csv", "--missing", "mean", "--scale", "none"]
    done = subprocess.run([*command, "-o", "d.h5"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert library.read(tmp_path / "d.h5")["features"].tolist() == [[1, 1], [2, 2], [3, 3]]


def test_help_version_and_completion_import_nothing_heavy():
    code = (
        "import sys\n"
        "from tensorize_cli.main import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "print(sorted({'torch', 'pandas', 'pyarrow', 'h5py', 'numpy'} & set(sys.modules)), file=sys.stderr)\n"
    )
    for args in (["--help"], ["--version"], []):
        done = subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True, check=True)
        assert done.stderr.splitlines()[-1] == "[]"
    complete = {"_TENSORIZE_COMPLETE": "complete_bash", "COMP_WORDS": "tensorize ta", "COMP_CWORD": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **complete}, capture_output=True, text=True, check=True
    )
    assert "table" in done.stdout
    assert done.stderr.splitlines()[-1] == "[]"


def test_loader_help_imports_no_loader_engine():
    code = "import sys, tensorize_cli.group as g\ng.load_command(sys.argv[1])\n"
    code += "print({'torch', 'pandas', 'pyarrow'} & set(sys.modules))"
    for name in registry.LOADERS:
        done = subprocess.run([sys.executable, "-c", code, name], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "set()", name


@pytest.mark.parametrize("name", [*registry.LOADERS, *COMMANDS])
def test_every_command_has_help(tensorize, name):
    done = tensorize(name, "--help")
    assert done.returncode == 0
    assert "Usage: tensorize " + name in done.stdout


@pytest.mark.parametrize("name", [*registry.LOADERS, "apply", "train", "evaluate", "predict"])
def test_every_default_in_a_help_is_shown(tensorize, name):
    shown = tensorize(name, "--help", env={"COLUMNS": "250"}).stdout
    helps = [parameter.help.replace("\\[", "[") for parameter in load_command(name).params if getattr(parameter, "help", None)]
    defaults = [default for text in helps for default in re.findall(r"\[default: [^]]*\]", text)]
    assert defaults
    assert [default for default in defaults if default not in shown] == []


def test_every_option_of_a_loader_is_a_flag(tensorize):
    for name, entry in registry.table("loaders").items():
        shown = tensorize(name, "--help", env={"COLUMNS": "200"}).stdout
        for field in entry.load().Options.fields():
            assert "--" + field.replace("_", "-") in shown, (name, field)


def test_no_colour_when_piped_and_none_with_no_color(tensorize):
    assert "\x1b" not in tensorize("table", "none.csv", env={"NO_COLOR": ""}).stderr


def test_a_reader_that_goes_away_is_no_fault():
    command = Path(sys.executable).with_name("tensorize")
    done = subprocess.run(f"{command} plugins | head -1", shell=True, capture_output=True, text=True, check=True)
    assert done.stdout == "loaders\n"
    assert done.stderr == ""


def test_ctrl_c_ends_with_130_and_leaves_nothing(tmp_path):
    command = Path(sys.executable).with_name("tensorize")
    pipes = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([command, "table", "-", "-o", tmp_path / "d.h5"], **pipes) as run:
        run.stdin.write(TABLE)
        run.stdin.flush()
        time.sleep(2)
        run.send_signal(signal.SIGINT)
        assert run.wait(20) == 130
        assert run.stderr.read() == "interrupted\n"
    assert left(tmp_path) == []


def test_an_interrupt_in_mid_write_leaves_nothing(tmp_path):
    def stop(stage, done, total):
        if stage == "write":
            assert left(tmp_path) == [".d.h5.part"]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        library.prepare("table", {"a": list(range(100_000))}, out=tmp_path / "d.h5", progress=stop)
    assert left(tmp_path) == []


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(("out", "named"), [("my file.h5", "inspect 'my file.h5'"), ("x.tar", "verify x.tar")])
def test_the_next_command_works(warm, source, out, named):
    done = warm("table", source, "-o", out)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"next: tensorize {named}"
    assert warm(*shlex.split(named)).returncode == 0


def test_a_command_that_is_proposed_keeps_how_the_output_is_written(warm, tmp_path):
    (tmp_path / "gap.csv").write_text("a,b\n1,2\n,4\n5,6\n")
    done = warm("table", "gap.csv", "-o", "x.parquet", "--columns")
    assert done.returncode == 1
    words = shlex.split(done.stderr.splitlines()[-1].removeprefix("  tensorize"))
    assert "--columns" in words
    assert warm(*words).returncode == 0
    assert {"a", "b"} <= set(pq.read_schema(tmp_path / "x.parquet").names)
    done = warm("auto", "gap.csv", "-o", "y.parquet", "--columns")
    same = next(line for line in done.stdout.splitlines() if line.startswith("the same: tensorize"))
    assert warm(*shlex.split(same.removeprefix("the same: tensorize")), "--force").returncode == 0
    assert {"a", "b"} <= set(pq.read_schema(tmp_path / "y.parquet").names)
