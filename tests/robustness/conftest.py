"""Regions of several threads, whatever the machine has and however busy it is."""

import pytest

import solvers


@pytest.fixture
def four(monkeypatch):
    """Four threads of kernels, whose regions are not given up where others keep the processors."""
    from solvers.kernels.cpu import _team

    monkeypatch.setattr(_team, "_note_contention", lambda elapsed, useful: None)
    monkeypatch.setattr(_team, "_busy_until", 0.0)
    with solvers.set_threads(4):
        yield
