"""What the wheel contains, and what it says about itself."""

import configparser
import pathlib
import re
import zipfile
from email.parser import Parser

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Where a folder of the repository lies in the wheel.
PLACES = {"solvers/": "solvers/", "kernels/": "solvers/kernels/", "benchmarks/": "solvers/benchmarks/"}


@pytest.fixture(scope="module")
def names(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return sorted(name for name in archive.namelist() if not name.endswith("/"))


@pytest.fixture(scope="module")
def read(wheel, names):
    def text(suffix):
        (name,) = (n for n in names if re.fullmatch(r"adaptive_solvers-[^/]+\.dist-info/" + suffix, n))
        with zipfile.ZipFile(wheel) as archive:
            return archive.read(name).decode()

    return text


@pytest.fixture(scope="module")
def metadata(read):
    return Parser().parsestr(read("METADATA"))


def in_wheel(name):
    """The name in the wheel of a file of the repository; None for what does not belong into it."""
    for folder, place in PLACES.items():
        if name.startswith(folder):
            return place + name.removeprefix(folder)
    return None


def test_nothing_lies_outside_of_solvers(names):
    outside = [n for n in names if not re.match(r"solvers/|adaptive_solvers-[^/]+\.dist-info/", n)]
    assert outside == []


def test_every_tracked_module_is_in_the_wheel(tracked, names):
    modules = [in_wheel(name) for name in tracked if name.endswith(".py") and in_wheel(name)]
    assert {"solvers/linalg/_cg.py", "solvers/kernels/cpu/cg.py", "solvers/benchmarks/cli.py"} <= {*modules}
    assert sorted({*modules} - {*names}) == []


def test_every_tracked_data_file_is_in_the_wheel(tracked, names):
    data = [in_wheel(name) for name in tracked if in_wheel(name) and not name.endswith((".py", ".md"))]
    measurements = {name for name in data if name.startswith("solvers/benchmarks/results/")}
    assert "solvers/py.typed" in data
    assert sorted({*data} - {*names} - measurements) == []


def test_no_measurement_is_in_the_wheel(names):
    """They are read in the repository; nothing reads them at run time."""
    assert [name for name in names if "results" in name] == []


def test_every_file_of_the_wheel_is_tracked(tracked, names):
    expected = {in_wheel(name) for name in tracked}
    assert [n for n in names if n.startswith("solvers/") and n not in expected] == []


def test_every_folder_with_modules_is_a_package(tracked):
    folders = {name.rpartition("/")[0] for name in tracked if name.endswith(".py") and in_wheel(name)}
    assert [f for f in sorted(folders) if f + "/__init__.py" not in tracked] == []


def test_the_wheel_is_pure_python(wheel, read):
    assert wheel.name.endswith("-py3-none-any.whl")
    said = Parser().parsestr(read("WHEEL"))
    assert (said["Root-Is-Purelib"], said["Tag"]) == ("true", "py3-none-any")


def test_the_metadata_name_the_distribution_and_its_version(metadata):
    import solvers

    assert metadata["Name"] == "adaptive-solvers"
    assert metadata["Version"] == solvers.__version__
    assert metadata["Requires-Python"] == ">=3.11"


def test_the_description_is_the_readme(metadata):
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert metadata.get_payload().strip() == (ROOT / "README.md").read_text(encoding="utf-8").strip()


def test_the_licence_is_named_and_carried(metadata, names):
    assert "BSD-3-Clause" in (metadata["License-Expression"] or metadata["License"])
    assert any(re.search(r"\.dist-info/.*LICENSE$", n) for n in names)


def test_the_extras_are_those_of_the_design(metadata):
    assert {*metadata.get_all("Provides-Extra")} == {
        "gpu", "gpu-cuda12", "petsc", "learned", "deep", "bench", "test", "docs",
    }  # fmt: skip


def test_the_core_needs_numpy_scipy_numba_and_pyamg_only(metadata):
    needed = [r for r in metadata.get_all("Requires-Dist") if "extra ==" not in r]
    assert {re.match(r"[\w-]+", r)[0].lower() for r in needed} == {"numpy", "scipy", "numba", "pyamg"}
    assert any(re.match(r"numpy[^;]*>=2\.0", r) for r in needed)


@pytest.mark.parametrize(
    "extra, some",
    [
        ("bench", {"pot", "matplotlib"}),
        ("test", {"pytest", "hypothesis", "cupy-cuda13x", "nvidia-cuda-nvrtc"}),
        ("gpu", {"cupy-cuda13x"}),
        ("gpu-cuda12", {"cupy-cuda12x"}),
    ],
)
def test_an_extra_brings_what_it_is_for(metadata, extra, some):
    marked = [r for r in metadata.get_all("Requires-Dist") if re.search(rf"extra == ['\"]{extra}['\"]", r)]
    assert some <= {re.match(r"[\w-]+", r)[0].lower() for r in marked}


def test_cupy_brings_its_cuda_libraries_where_kernels_run_and_not_where_they_are_compiled(metadata):
    needed = [r for r in metadata.get_all("Requires-Dist") if r.startswith("cupy")]
    # Old setuptools write a space before the bounds.
    assert {r.partition(";")[0].replace(" ", "") for r in needed if "gpu" in r} == {
        "cupy-cuda13x[ctk]<15,>=14.2",
        "cupy-cuda12x[ctk]<15,>=14.2",
    }
    (compiled,) = (r for r in needed if "extra == " in r and "gpu" not in r)
    assert "[ctk]" not in compiled and "darwin" in compiled  # there is no CuPy for macOS


def test_no_core_requirement_needs_a_gpu(metadata):
    assert [r for r in metadata.get_all("Requires-Dist") if re.match("cupy|nvidia", r) and "extra" not in r] == []


def test_the_cuda_sources_are_in_the_wheel_beside_what_launches_them(names, tracked):
    in_repository = {in_wheel(name) for name in tracked if name.startswith("kernels/gpu/")}
    in_archive = {name for name in names if name.startswith("solvers/kernels/gpu/")}
    assert in_archive == in_repository
    assert {"solvers/kernels/gpu/common.cuh", "solvers/kernels/gpu/_device.py"} <= in_archive


def test_the_installed_package_reads_every_cuda_source(python, unpacked):
    script = """
import solvers.kernels.gpu
from solvers.kernels.gpu import _device
print(_device.__file__)
print(min(len(source.code) for source in _device.SOURCES), "cupy" in __import__("sys").modules)
"""
    where, read = python("-c", script, path=[unpacked]).splitlines()
    assert where.startswith(str(unpacked))
    shortest, cupy_loaded = read.split()
    assert int(shortest) > 1000 and cupy_loaded == "False"


def test_the_console_script_is_solvers(read):
    entries = configparser.ConfigParser()
    entries.read_string(read(r"entry_points\.txt"))
    assert {section: dict(entries[section]) for section in entries.sections()} == {
        "console_scripts": {"solvers": "solvers.__main__:main"}
    }
