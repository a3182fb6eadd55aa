"""The two special measurements give figures of the right kind; how large they are is not tested."""

from solvers.benchmarks import per_iteration, startup


def test_a_case_with_one_right_hand_side_is_measured_both_ways():
    row = per_iteration.measure(("poisson2d", 10, 1), threads=1, budget=0.02)
    assert row.samples >= 5 and row.ratio in (None, row.theirs / row.ours)
    assert row.whole_ratio == row.whole_theirs / row.whole_ours
    assert abs(row.iterations_ours - row.iterations_theirs) <= 1


def test_many_right_hand_sides_are_compared_with_one_by_one():
    row = per_iteration.measure(("poisson2d", 10, 16), threads=1, budget=0.02)
    assert row.n_rhs == 16 and row.whole_ratio is None
    assert row.iterations_ours == row.iterations_theirs


def test_no_case_has_converged_in_the_iterations_that_are_timed():
    from scipy.sparse.linalg import cg
    from solvers.benchmarks.problems import PROBLEMS, make_problem

    for name, size in [("poisson2d", 10), ("arrow", 200), ("random60", 200), ("dense", 100)]:
        problem = make_problem(PROBLEMS[name], size)
        assert cg(problem.A, problem.b, rtol=1e-13, maxiter=per_iteration._MANY)[1] != 0, name


def test_a_difference_lost_in_noise_has_no_ratio():
    assert per_iteration._rated(-1.0, 2.0, 5)["ratio"] is None
    assert per_iteration._rated(1.0, 2.0, 5)["ratio"] == 2.0


def test_every_row_is_as_wide_as_the_heading():
    row = per_iteration.measure(("poisson2d", 10, 1), threads=1, budget=0.01)
    assert len(per_iteration.line(row)) == len(per_iteration.heading().splitlines()[0])


def test_start_up_is_measured_in_fresh_processes():
    seconds = startup.measure(repeats=1)
    assert len(seconds) == 4 and all(value > 0 for value in seconds.values())
    assert "empty cache" in startup.table(seconds)
