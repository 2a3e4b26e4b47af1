"""Torch files are what torch would have written, without torch: the same objects, the same archive, any size."""

import io
import pickletools
import struct
import subprocess
import sys
import zipfile
import zlib

import numpy as np
import pytest
import torch
from conftest import Command

from tensorize.core.contracts import TensorSpec
from tensorize.exporters.pt import pickled
from tensorize.storage.archive import ALIGNMENT, directory, lay_out, read_members

ABOUT = {"text": "é\n", "none": None, "yes": True, "list": [1, -2, 2**40, 1.5, "é\n"], "empty": {}}


def opcodes(data):
    """What a pickle says, without the memory that pickle keeps of what it has said; a reference becomes what it refers to."""
    said, memory = [], {}
    for code, value, _ in pickletools.genops(data):
        if "PUT" in code.name:
            memory[value] = said[-1]
        elif "GET" in code.name:
            said.append(memory[value])
        else:
            said.append((code.name, value))
    return said


@pytest.mark.parametrize("dtype", [*pickled.STORAGES, "uint16", "uint32", "uint64"])
@pytest.mark.parametrize("shape", [(3, 2), (0, 4), (2, 0, 3), (5,), (2, 3, 4, 5)])
def test_the_pickle_is_what_torch_itself_writes(dtype, shape):
    spec = TensorSpec("x", shape, dtype, tuple("abcd"[: len(shape)]), "input")
    theirs = io.BytesIO()
    torch.save({"x": torch.zeros(shape, dtype=getattr(torch, dtype)), "about": ABOUT}, theirs)
    ours = pickled.pickled([spec], "about", ABOUT)
    assert opcodes(ours) == opcodes(zipfile.ZipFile(theirs).read("archive/data.pkl"))


def test_no_file_of_ours_needs_torch_to_be_written(tensorize: Command, tmp_path, samples):
    script = (
        "import sys; import tensorize_cli.main as command\n"
        "command.leave = lambda code: sys.exit(code or ('torch was imported' if 'torch' in sys.modules else 0))\n"
        "command.main()"
    )
    for suffix in (".pt", ".h5"):
        command = ["wine", samples / "wine-synthetic.csv", "--onehot", "quality", "-o", tmp_path / f"w{suffix}"]
        done = subprocess.run([sys.executable, "-c", script, *map(str, command)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert torch.load(tmp_path / "w.pt", weights_only=True)["features"].shape == (1000, 11)


def write(path, contents, comment=b""):
    """An archive of name → (size, bytes at its start), the rest of each member a hole."""
    members = lay_out({name: size for name, (size, _) in contents.items()})
    checksums = {}
    with path.open("wb") as file:
        for name, member in members.items():
            size, data = contents[name]
            checksums[name] = zlib.crc32(data) if size == len(data) else 0
            for at, part in ((member.start, member.header + data), (member.at + size, member.descriptor(checksums[name]))):
                file.seek(at)
                file.write(part)
        file.write(directory(tuple(members.values()), checksums, comment))
    return members


def test_stock_readers_check_and_read_the_archive(tmp_path):
    contents = {"a/x": (5, b"12345"), "a/é": (0, b""), "a/long": (70_000, b"z" * 70_000)}
    members = write(tmp_path / "x.zip", contents, b"said")
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in contents} == {name: data for name, (_, data) in contents.items()}
        assert archive.comment == b"said"
    assert all(member.at % ALIGNMENT == 0 for member in members.values())
    assert read_members(tmp_path / "x.zip", len(b"said")) == {
        name: (members[name].at, size) for name, (size, _) in contents.items()
    }


def test_an_archive_of_more_than_four_gigabytes(tmp_path):
    specs = [TensorSpec("big", (5 << 30,), "uint8", ("row",), "input"), TensorSpec("last", (4,), "int64", ("row",), "meta")]
    data = pickled.pickled(specs, "about", {})
    last = np.arange(4).tobytes()
    small = {"archive/data.pkl": (len(data), data), "archive/version": (2, b"3\n")}
    write(tmp_path / "x.pt", {**small, "archive/data/0": (5 << 30, b"\7"), "archive/data/1": (len(last), last)})
    found = torch.load(tmp_path / "x.pt", weights_only=True, mmap=True)
    assert (found["big"].shape, found["big"][0].item(), found["big"][-1].item()) == ((5 << 30,), 7, 0)
    assert found["last"].tolist() == [0, 1, 2, 3]
    with zipfile.ZipFile(tmp_path / "x.pt") as archive:
        assert archive.getinfo("archive/data/1").header_offset > 5 << 30
        assert archive.read("archive/data/1") == last


def test_an_archive_of_more_members_than_a_short_field_holds(tmp_path):
    contents = {f"a/{index}": (8, struct.pack("<q", index)) for index in range(70_000)}
    write(tmp_path / "x.zip", contents)
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        assert len(archive.namelist()) == 70_000
        assert archive.read("a/69999") == struct.pack("<q", 69_999)
