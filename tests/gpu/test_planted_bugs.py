"""A test of the tests: each bug planted in the CUDA sources is found, whatever the schedule, and none where none is.

To add one: a line of ``BUGS``; the text must stand exactly once in its file. A bug that nothing finds means that a
check of planted.py, or the detector, is missing something.
"""

import pytest
from emulation import SCHEDULES, EmulationError, device, settings
from planted import CHECKS

SYNC, FENCE, MEET = "__syncthreads();", "__threadfence();", "grid_barrier(arrived);"
RACE = "race: .*nothing orders the two"
OUT = "out of bounds: .* argument"
WRONG = "Not equal to tolerance"
EARLY = "a thread that returned early|has returned"

# name: (file, text, what it becomes, the check that finds it, what that says).
BUGS = {
    # Barriers of a block.
    "block_sum: sums overwritten while read": (
        "common.cuh", f"{SYNC}  // the sums of the call before", "// the sums of the call before", "basis", RACE,
    ),
    "block_sum: sums read before written": (
        "common.cuh", f"sums[k][warp] = values[k];\n    {SYNC}", "sums[k][warp] = values[k];", "vectors",
        f"{RACE}|before anything was written",
    ),
    "largest: read before written": (
        "vectors.cu", f"= most;\n    {SYNC}", "= most;", "vectors", f"{RACE}|before anything was written",
    ),
    "survey: asked while changed": (
        "storage.cu", f"atomicOr(&changed, 1);\n        {SYNC}", "atomicOr(&changed, 1);", "storage", RACE,
    ),
    "survey: changed while asked": (
        "storage.cu", f"again = changed;\n        {SYNC}", "again = changed;", "storage", RACE,
    ),
    "column sums: overwritten while read": (
        "cg_many.cu", f"{SYNC}  // the sums of the call before", "// the sums of the call before", "cg_many", RACE,
    ),
    "column sums: read before written": (
        "cg_many.cu", f"= values[which];\n    {SYNC}", "= values[which];", "cg_many",
        f"{RACE}|before anything was written",
    ),
    # Barriers of the grid.
    "barrier: block not gathered": (
        "common.cuh", f"(unsigned* arrived) {{\n    {SYNC}", "(unsigned* arrived) {", "cg", RACE,
    ),
    "barrier: block not released together": (
        "common.cuh", f"        {FENCE}\n    }}\n    {SYNC}", f"        {FENCE}\n    }}", "cg", RACE,
    ),
    "barrier: nothing published": (
        "common.cuh", f"{FENCE}  // it was asked for before", "// it was asked for before", "cg", RACE,
    ),
    "barrier: published by the last block only": (
        "common.cuh", f"atomicExch(arrived, 0u);\n            {FENCE}", "atomicExch(arrived, 0u);", "cg", RACE,
    ),
    "barrier: nothing received": (
        "common.cuh", f"        }}\n        {FENCE}\n    }}", "        }\n    }", "cg", RACE,
    ),
    "barrier: waits by plain reads": (
        "common.cuh", "*(volatile unsigned*)round == before", "*round == before", "cg", RACE,
    ),
    "barrier: asks by a plain read": (
        "common.cuh", "before = *(volatile unsigned*)round", "before = *round", "cg", RACE,
    ),
    "barrier: opens one block early": (
        "common.cuh", "== gridDim.x - 1) {", "== gridDim.x - 2) {", "cg", f"{RACE}|deadlock",
    ),
    "barrier: never opens": ("common.cuh", "== gridDim.x - 1) {", "== gridDim.x) {", "cg", "deadlock"),
    "barrier: lost atomic": (
        "common.cuh", "atomicAdd(arrived, 1u) ==", "(*arrived)++ ==", "cg", "race: .* argument",
    ),
    "cg: sums collected before all are left": (
        "cg.cuh", f"leave_sums(values, parts);\n    {MEET}", "leave_sums(values, parts);", "cg", RACE,
    ),
    "cg_many: step lengths before the sums": (
        "cg_many.cu", f"forms, parts);\n        }}\n        {MEET}", "forms, parts);\n        }", "cg_many", RACE,
    ),
    "cg_many: norms before the sums": (
        "cg_many.cu", f"squares, parts);\n        }}\n        {MEET}", "squares, parts);\n        }", "cg_many", RACE,
    ),
    "cg_many: product before all of p is there": (
        "cg_many.cu", f"p + j);\n        }}\n        {MEET}", "p + j);\n        }", "cg_many", RACE,
    ),
    "cg: product before all of p is there": (
        "cg.cu", f"if (flag == RUNNING && taken < steps) {MEET}", "", "cg", RACE,
    ),
    # Stages of sorted rows.
    "forward: no barrier between stages": (
        "sweeps.cuh", "if (stage > 0 && arrived) grid_barrier(arrived);", "", "sweeps", RACE,
    ),
    "backward: no barrier between stages": ("sweeps.cuh", "if (stage > 0) grid_barrier(arrived);", "", "ssor", RACE),
    "stage: one row too many": ("sweeps.cuh", "i < end; i += stride", "i <= end; i += stride", "sweeps",
                                f"{RACE}|{OUT}"),
    "stage: starts a row late": (
        "sweeps.cuh", "edges[stage] + unsigned(first_row())", "edges[stage] + 1 + unsigned(first_row())", "ssor", WRONG,
    ),
    "sor: reads the vector of the last sweep": ("relaxation.cu", "y[j] - x[j]", "x[j] - x[j]", "sweeps", WRONG),
    "sor: leaves the sums that others read": (
        "relaxation.cu", "still be read by others.\n        grid_sums(squares, parts + step % 2 * gridDim.x,",
        "\n        grid_sums(squares, parts,", "sweeps", RACE,
    ),
    "sor: the next sweep begins before this one is over": (
        "relaxation.cu", "            grid_barrier(arrived);", "", "sweeps", RACE,
    ),
    "jacobi: leaves the sums that others read": (
        "relaxation.cu", "squares);\n        }\n        grid_sums(squares, parts + step % 2 * gridDim.x,",
        "squares);\n        }\n        grid_sums(squares, parts,", "sweeps", RACE,
    ),
    "ssor_cg: leaves the sums that others read": (
        "ssor.cu", "grid_sums(next, rhos, arrived)", "grid_sums(next, parts, arrived)", "ssor", RACE,
    ),
    "ssor_cg: solves with the residual for the direction": (
        "ssor.cu", "Both<T>{s, u}", "Both<T>{s, s}", "ssor", WRONG,
    ),
    # Transport.
    "transport: columns before all shares are left": (
        "sweep.cuh", f"leave_sums(values, leaves);\n    {MEET}", "leave_sums(values, leaves);", "transport", RACE,
    ),
    "transport: shares of warps added at once": (
        "sweep.cuh", f"            }}\n        }}\n        {SYNC}", "            }\n        }", "transport", RACE,
    ),
    "transport: sums of columns overwritten while read": (
        "sweep.cuh", f"{SYNC}  // the sums of the columns before", "// the sums of the columns before", "transport",
        RACE,
    ),
    "transport: a potential written while its row reads it": (
        "sweep.cuh", "__syncwarp();  // what", "// what", "transport", RACE,
    ),
    "transport: one share for all blocks": (
        "sweep.cuh", "part[j] = turn > 0", "parts[j] = turn > 0", "transport", RACE,
    ),
    "transport: what no thread holds is forgotten": (
        "sweep.cuh", "s += op.term(op.entry(row[j], j, pre), j);", ";", "transport", WRONG,
    ),
    "transport: a column too many": (
        "sweep.cuh", "if (j < width) part[j] =", "part[j] =", "transport", f"{RACE}|{OUT}",
    ),
    "transport: columns of the next row": (
        "sweep.cuh", "e[k] = j < width ? row[j]", "e[k] = j <= width ? row[j]", "transport", f"{OUT}|{WRONG}",
    ),
    "transport: rows a block apart": (
        "sweep.cuh", "(long long)gridDim.x * groups; }", "(long long)gridDim.x; }", "transport", f"{RACE}|{WRONG}",
    ),
    "transport: the largest exponent left in": (
        "sinkhorn.cu", "exponent(c, j, pre.own) - pre.most", "exponent(c, j, pre.own)", "transport",
        f"{WRONG}|sweeps taken",
    ),
    "transport: exact columns before their exponents": (
        "sinkhorn.cu", f"most[j] = most_of_parts(parts, slabs, m, j);\n        {MEET}",
        "most[j] = most_of_parts(parts, slabs, m, j);", "transport", RACE,
    ),
    "clouds: coordinates overwritten while read": (
        "transport.cuh", f"{SYNC}  // the coordinates before", "// the coordinates before", "transport", RACE,
    ),
    "clouds: coordinates read before written": (
        "transport.cuh", f"tile.right);\n        {SYNC}", "tile.right);", "transport",
        f"{RACE}|before anything was written",
    ),
    "clouds: a point too many": (
        "transport.cuh", "begin + point < end ? X", "begin + point <= end ? X", "transport", OUT,
    ),
    "clouds: wrong stride of coordinates": (
        "transport.cuh", "X[(begin + point) * d + from + k]", "X[(begin + point) * depth + from + k]", "transport",
        f"{WRONG}|{OUT}",
    ),
    "clouds: only the first lane's sum": (
        "transport.cuh", "found[r].join_lanes(ACROSS);", "", "transport", WRONG,
    ),
    "plans: a row's last stretch twice": (
        "transport.cuh", "j + k * WARP < end ? A(row[j + k * WARP])", "j + k * WARP <= end ? A(row[j + k * WARP])",
        "transport_plans", f"{OUT}|{WRONG}",
    ),
    "running sums: read before written": (
        "plans.cu", f"= sum;\n        {SYNC}", "= sum;", "transport_plans", f"{RACE}|before anything was written",
    ),
    "large entries: in the place of the next": (
        "plans.cu", "<< lane_of_warp()) - 1u", "<< lane_of_warp())", "transport_plans", f"{RACE}|{OUT}|{WRONG}",
    ),
    # Sliced distances.
    "slices: coordinates overwritten while read": (
        "slices.cu", f"{SYNC}  // the coordinates before", "// the coordinates before", "slices", RACE,
    ),
    "slices: a direction too many": ("slices.cu", "l < rows && i < n", "l <= rows && i < n", "slices", f"{OUT}|{RACE}"),
    "sort: counts read before written": (
        "slices.cu", "__syncwarp();  // all keys have been counted", "", "slices", RACE,
    ),
    "sort: lost atomic": (
        "slices.cu", "atomicAdd(&own[digit_of(here[i], shift)], 1u)", "own[digit_of(here[i], shift)] += 1u", "slices",
        RACE,
    ),
    "sort: places moved on while read": (
        "slices.cu", "__syncwarp();  // the places have been read", "", "slices", RACE,
    ),
    "sort: places read while moved on": (
        "slices.cu", "__syncwarp();  // the places have been moved on", "", "slices", RACE,
    ),
    "sort: the last key twice": (
        "slices.cu", "if (!inside) continue;", "", "slices", f"{RACE}|{OUT}|{WRONG}",
    ),
    "sort: negative keys in reverse": ("slices.cu", "word & top ? ~W(0) : top", "top", "slices", WRONG),
    "sort: alike in seven bits": ("slices.cu", "bit < DIGIT;", "bit < DIGIT - 1;", "slices", f"{RACE}|{WRONG}|{OUT}"),
    "sums of rows: read before written": (
        "slices.cu", f"= sum;\n            {SYNC}", "= sum;", "slices", f"{RACE}|before anything was written",
    ),
    "sums of rows: overwritten while read": (
        "slices.cu", f"{SYNC}  // the sums of the stretch before", "// the sums of the stretch before", "slices", RACE,
    ),
    "coupling: one point too few": ("slices.cu", "of_y.at(l) < high; ++l", "of_y.at(l) < low; ++l", "slices", WRONG),
    "coupling: the step that ends at a level": ("slices.cu", "sums[middle + 1] > level", "sums[middle] > level",
                                                "slices", WRONG),
    "slopes: of the sorted place": (
        "slices.cu", "slopes[row * n + index[row * n + k]]", "slopes[row * n + k]", "slices", WRONG,
    ),
    # Numbers of threads, rows and entries.
    "block_sum: wrong width": (
        "common.cuh", "values[k] += shuffle_down(values[k], offset, WARP);\n    __sync",
        "values[k] += shuffle_down(values[k], offset, WARP / 2);\n    __sync", "vectors", WRONG,
    ),
    "lanes_sum: wrong first step": (
        "matrices.cuh", "int offset = width / 2; offset", "int offset = width / 4; offset", "products", WRONG,
    ),
    "largest: wrong shuffle": ("vectors.cu", "shuffle_down(most, offset, WARP));", "shuffle_down(most, 1, WARP));",
                               "vectors", WRONG),
    "vectors: one entry too many": (
        "vectors.cu", "if (i + k * stride < n) y", "if (i + k * stride <= n) y", "vectors", OUT,
    ),
    "csr: entries of the next row": (
        "matrices.cuh", "end = i < n ? indptr[i + 1]", "end = i < n ? indptr[i + 2]", "products", f"{OUT}|{WRONG}",
    ),
    "diagonals: one column too many": ("matrices.cuh", "j < unsigned(n)", "j <= unsigned(n)", "products", OUT),
    "stencil: wraps around": ("matrices.cuh", "column + 1 < nx ?", "column < nx ?", "products", f"{OUT}|{WRONG}"),
    "dense: an entry twice": (
        "matrices.cuh", "|| j + e * step < n)", "|| j + e * step <= n)", "products", f"{WRONG}|{OUT}",
    ),
    "cg: one row too many": (
        "cg.cuh", "residual[U], change[U];\n        R weights[U];", "residual[U + 1], change[U];\n        R weights[U];"
        "\n        residual[U] = r[own.n];", "cg", OUT,
    ),
    "basis: a row too many": ("basis.cu", "a[k] = row + k < rows ?", "a[k] = row + k <= rows ?", "basis", OUT),
    # Threads that do what one should, or none.
    "inner: returns before the barrier": (
        "vectors.cu", "double sums[2] = {0.0, 0.0};\n    for (Walk",
        "double sums[2] = {0.0, 0.0};\n    if (threadIdx.x == 7) return;\n    for (Walk", "vectors", EARLY,
    ),
    "block_sum: returns before the barrier": (
        "common.cuh", "sums[k][warp] = values[k];\n    __sync",
        "sums[k][warp] = values[k];\n    if (warp > 0) return;\n    __sync", "vectors", EARLY,
    ),
    "leave_sums: all threads leave them": (
        "common.cuh", "if (threadIdx.x == 0)\n        for (int k = 0; k < N; ++k) parts",
        "for (int k = 0; k < N; ++k) parts", "vectors", RACE,
    ),
    "is_valid: lost atomic": ("storage.cu", "atomicOr(bad, 1);", "*bad |= 1;", "storage", RACE),
    "survey: lost atomic": ("storage.cu", "atomicOr(&changed, 1);", "changed = 1;", "storage", RACE),
}  # fmt: skip


@pytest.fixture
def gpu(emulated):
    import solvers.kernels.gpu

    settings.mode, device.multiprocessors = "checked", 1
    return solvers.kernels.gpu


@pytest.fixture
def plant(gpu, monkeypatch):
    """``plant(file, text, other)`` changes a source for the rest of the test."""

    def change(file, text, other):
        beginning, changed = f'#line 1 "{file}"\n', 0
        for source in gpu._device.SOURCES:
            before, found, content = source.code.partition(beginning)
            if found:
                content, line, after = content.partition("\n#line 1 ")
                assert content.count(text) == 1, f"{file} has {content.count(text)} times\n{text}"
                code = before + found + content.replace(text, other) + line + after
                monkeypatch.setitem(source.__dict__, "code", code)
                changed += 1
        assert changed, f"no source contains {file}"
        monkeypatch.setattr(settings, "whole_sources", False)  # few instances of it will run

    return change


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("threads", [64, 256])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_nothing_is_found_in_the_sources_as_they_are(gpu, monkeypatch, check, threads, schedule):
    monkeypatch.setattr(gpu._device, "THREADS", threads)
    settings.schedule = schedule
    CHECKS[check](gpu)


# A bug of each check in every run, the others among the slow tests.
FIRST = {bug[3]: name for name, bug in reversed(BUGS.items())}.values()


@pytest.mark.parametrize(
    "name", [name if name in FIRST else pytest.param(name, marks=pytest.mark.slow) for name in BUGS]
)
def test_a_planted_bug_is_found_whatever_the_schedule(gpu, plant, name, monkeypatch):
    file, text, other, check, sentence = BUGS[name]
    plant(file, text, other)
    if check == "cg_many":  # else a thread has a column of a tile for itself
        monkeypatch.setattr(gpu._device, "THREADS", 256)
    for settings.schedule in SCHEDULES:
        with pytest.raises((EmulationError, AssertionError), match=sentence):
            CHECKS[check](gpu)
