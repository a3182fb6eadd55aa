"""Threads: concurrent callers, forks, spawned processes, and members that fail or are interrupted.

What could hang or end the process runs in a subprocess, whose time limit turns a hang into a failure.
"""

import os

import pytest

# 200,000 rows: enough work for a team. Two threads, however many processors the machine has.
PROBLEM = """
    import os, signal, sys, threading, warnings
    import numpy as np
    from scipy.sparse import diags_array
    import solvers
    from solvers import linalg
    from solvers.kernels.cpu import _team
    _team._JUDGED_FROM = float("inf")  # a busy machine does not end the team
    solvers.set_threads(2)
    n = 200_000
    A = diags_array([-np.ones(n - 1), 3 * np.ones(n), -np.ones(n - 1)], offsets=[-1, 0, 1]).tocsr()
    b = np.sin(np.arange(n))
    def solve(**options):
        result = linalg.cg(A, b, rtol=1e-8, **options)
        assert result.converged, result
        return result.x.tobytes()
    def in_parallel():
        '''Whether this process has started the team's threads.'''
        return any(thread.name.startswith("solvers") for thread in threading.enumerate())
"""


def test_a_large_solve_runs_on_the_team_and_a_small_one_does_not(python):
    script = """
    linalg.cg(np.eye(3), np.ones(3))
    assert not in_parallel()
    two = solve()
    assert in_parallel()
    solvers.set_threads(1)
    assert solve() == two
    """
    python(PROBLEM + script)


def test_eight_concurrent_callers_get_the_bits_of_a_serial_solve(python):
    script = """
    from concurrent.futures import ThreadPoolExecutor
    solvers.set_threads(1)
    alone = solve()
    solvers.set_threads(2)
    start = threading.Barrier(8)
    def together(_):
        start.wait()
        return [solve() for _ in range(2)]
    with ThreadPoolExecutor(8) as pool:
        answers = [x for pair in pool.map(together, range(8)) for x in pair]
    assert len(answers) == 16 and set(answers) == {alone}
    assert in_parallel()
    """
    python(PROBLEM + script)


def test_teams_of_changing_size_give_the_same_bits(python):
    script = """
    answers = set()
    for size in (2, 4, 3, 1, 7):
        solvers.set_threads(size)
        answers.add(solve())
    assert len(answers) == 1
    """
    python(PROBLEM + script)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_solves_after_its_parent_used_threads(python):
    script = """
    parent = solve()
    assert in_parallel()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python's own advice against fork with threads
        child = os.fork()
    if child == 0:
        os._exit(0 if solve() == parent and in_parallel() else 3)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert solve() == parent
    """
    python(PROBLEM + script)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_forked_in_the_middle_of_a_solve_solves(python):
    """Another thread holds the team's lock at that moment, and will never release it in the child."""
    script = """
    reference = solve()
    codes = []
    class Forks:
        def on_chunk(self, iteration, norm): self.middle.set()
        middle = threading.Event()
    watcher = Forks()
    worker = threading.Thread(target=solve, kwargs=dict(callback=watcher))
    worker.start()
    watcher.middle.wait()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        os._exit(0 if solve() == reference else 3)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    worker.join()
    """
    python(PROBLEM + script)


def test_a_spawned_process_gives_the_bits_of_its_parent(python, tmp_path):
    (tmp_path / "spawned.py").write_text(
        "import numpy as np, solvers\n"
        "from solvers import linalg\n"
        "def solve(A, b):\n"
        "    solvers.set_threads(2)\n"
        "    return linalg.cg(A, b, rtol=1e-8).x.tobytes()\n"
    )
    script = """
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor
    sys.path.insert(0, sys.argv[1])
    import spawned
    parent = solve()
    assert in_parallel()
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert pool.submit(spawned.solve, A, b).result() == parent
    """
    python(PROBLEM + script, tmp_path)


TEAM = """
    import numpy as np
    import solvers
    from solvers.kernels.cpu import _team
    _team._JUDGED_FROM = float("inf")  # a busy machine does not end the team
    solvers.set_threads(3)
    def shares(team): return np.arange(team + 1)
    def launch(kernel):
        return _team.launch(kernel, 1e9, 3, shares)
    def count_and_wait(flags, share, member, team):
        for _ in range(100):
            if _team.barrier(flags, team):
                return "called off"
        return team
    assert launch(count_and_wait) == 3
"""


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_a_member_that_raises_ends_the_whole_team(python, failing):
    script = f"""
    seen = {{}}
    def kernel(flags, share, member, team):
        for step in range(100):
            if member == {failing} and step == 50:
                raise ValueError("the member's own error")
            if _team.barrier(flags, team):
                seen[member] = "called off"
                return
    try:
        launch(kernel)
    except ValueError as error:
        assert str(error) == "the member's own error", error
    else:
        raise AssertionError("the error was lost")
    assert sorted(seen) == [m for m in range(3) if m != {failing}], seen
    assert launch(count_and_wait) == 3
    """
    python(TEAM + script)


def test_an_interrupt_ends_a_threaded_solve_and_the_next_one_is_right(python):
    """The uninterrupted solve would take a thousand times the limit of this test."""
    script = """
    reference = solve()
    assert in_parallel()
    hard = diags_array([-np.ones(n - 1), 2 * np.ones(n), -np.ones(n - 1)], offsets=[-1, 0, 1]).tocsr()
    # A shell's background jobs are started with interrupts ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    class Interrupts:
        '''From a thread, a little later: in the middle of a chunk.'''
        def on_chunk(self, iteration, norm):
            threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGINT)).start()
            self.on_chunk = lambda iteration, norm: None
    for attempt in range(5):
        watcher = Interrupts()
        try:
            result = linalg.cg(hard, b, rtol=1e-13, maxiter=10**9, callback=watcher)
        except KeyboardInterrupt:
            pass
        else:
            raise AssertionError(f"the interrupt was swallowed: {result!r} in {result.seconds} s")
        assert solve() == reference
    """
    python(PROBLEM + script)


def test_a_callback_that_raises_leaves_the_team_usable(python):
    script = """
    reference = solve()
    class Raises:
        def on_chunk(self, iteration, norm): raise RuntimeError("the caller's own error")
    for attempt in range(3):
        try:
            solve(callback=Raises())
        except RuntimeError as error:
            assert str(error) == "the caller's own error"
        else:
            raise AssertionError("the error was lost")
        assert solve() == reference
    """
    python(PROBLEM + script)


def test_a_large_solve_works_while_the_interpreter_ends(python):
    """No thread can be started then."""
    script = """
    import atexit
    if sys.argv[1] == "before":
        solve()
    atexit.register(lambda: print("solved" if solve() else ""))
    """
    for when in ("before", "never"):
        assert python(PROBLEM + script, when) == "solved\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the limit on threads is POSIX")
def test_a_large_solve_works_where_no_thread_can_be_started(python):
    script = """
    start = threading.Thread.start
    def refuse(self): raise RuntimeError("can't start new thread")
    threading.Thread.start = refuse
    alone = solve()
    threading.Thread.start = start
    assert solve() == alone
    """
    python(PROBLEM + script)
