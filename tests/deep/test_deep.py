"""The networks, their loss, their training, and a solve with what was trained."""

import pickle

import numpy as np
import pytest
import scipy.sparse

import solvers
from solvers import InvalidInput, UnsupportedType, deep, linalg
from solvers._model_file import read_model, write_model

torch = pytest.importorskip("torch")


def poisson(n):
    line = scipy.sparse.diags_array([-np.ones(n - 1), 2 * np.ones(n), -np.ones(n - 1)], offsets=[-1, 0, 1])
    eye = scipy.sparse.eye_array(n)
    return (scipy.sparse.kron(line, eye) + scipy.sparse.kron(eye, line)).tocsr()


@pytest.mark.parametrize("name, count", [("2d", 32_657), ("paper64", 97_457), ("paper128", 152_881)])
def test_the_networks_have_the_papers_parameters(name, count):
    net = deep.network(name, rng=0)
    assert net.n_parameters == count and str(count) in repr(net)


GRIDS = [("2d", (8, 6)), ("2d", (7, 5)), ("paper64", (6, 5, 4)), ("paper128", (4, 4, 7))]


@pytest.mark.parametrize("name, shape", GRIDS)
def test_a_network_maps_any_grid_to_itself(name, shape):
    r = np.random.default_rng(0).standard_normal(np.prod(shape))
    z = deep.network(name, rng=0).on(shape)(r)
    assert z.shape == r.shape and z.dtype == np.float32 and np.isfinite(z).all() and z.any()


def test_the_network_is_the_one_described():
    """Written out for one residual pair on each level."""
    net = deep.Network(2, (1, 1, 1), channels=3, rng=1)
    u = torch.randn(2, 1, 6, 4, generator=torch.Generator().manual_seed(0))
    w, f = net.weights, torch.nn.functional
    conv = [lambda h, i=i: f.conv2d(h, w[2 * i], w[2 * i + 1], padding="same") for i in range(len(w) // 2)]
    h = f.relu(conv[1](conv[0](u)))
    h = h + f.relu(conv[3](f.relu(conv[2](h))))
    skip = f.relu(conv[4](h))
    h = f.avg_pool2d(skip, 2)
    h = h + f.relu(conv[6](f.relu(conv[5](h))))
    h = f.interpolate(h, scale_factor=2, mode="nearest") + skip
    h = h + f.relu(conv[8](f.relu(conv[7](h))))
    assert torch.allclose(net(u), conv[9](h), atol=1e-6)


def test_a_seed_gives_the_same_weights_and_leaves_torchs_own_alone():
    before = torch.get_rng_state()
    first, again, other = (deep.network("2d", rng=seed).weights[0] for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(before, torch.get_rng_state())


def test_a_mask_shows_the_network_zeros_and_gives_back_the_unknowns():
    mask = np.ones((6, 6), bool)
    mask[2:4, 1:3] = False
    seen = []

    def network(u):
        seen.append(u.clone())
        return 2 * u

    r = np.arange(1.0, 33.0)
    assert np.array_equal(deep.GridModel(network, (6, 6), mask)(r), 2 * r)
    assert seen[0].shape == (1, 1, 6, 6) and not seen[0][0, 0][~torch.from_numpy(mask)].any()


def test_a_model_takes_torchs_vectors():
    model = deep.network("2d", rng=0).on((5, 5))
    r = np.random.default_rng(0).standard_normal(25)
    assert np.array_equal(model(torch.from_numpy(r)).numpy(), model(r))


def test_the_loss_is_the_residual_after_one_exact_step_and_knows_no_factor():
    A, rng = poisson(4).toarray(), np.random.default_rng(0)
    f, r = rng.standard_normal((2, 3, 16))
    steps = [(x @ y) / (x @ A @ x) for x, y in zip(f, r)]
    wanted = np.mean([np.linalg.norm(y - a * A @ x) ** 2 for x, y, a in zip(f, r, steps)])
    product, f, r = (lambda v: v @ torch.from_numpy(A)), torch.from_numpy(f), torch.from_numpy(r)
    for factor in (1.0, -1.0, 1e-6, 1e6):
        assert float(deep.loss(product, factor * f, r)) == pytest.approx(wanted, rel=1e-10)
    assert float(deep.loss(product, 0 * f, r)) == pytest.approx(float(r.square().sum(1).mean()))


def test_the_gradient_of_the_product_is_the_product():
    from solvers.deep._training import _product

    A = scipy.sparse.csr_array(poisson(3) + scipy.sparse.diags_array(np.arange(9.0)))
    product = _product(A, 9, torch.device("cpu"))
    F = torch.randn(2, 9, generator=torch.Generator().manual_seed(1), requires_grad=True)
    out = product(F)
    assert np.allclose(out.detach().numpy(), F.detach().numpy() @ A.toarray(), atol=1e-5)
    weights = torch.arange(18.0).reshape(2, 9)
    (out * weights).sum().backward()
    assert np.allclose(F.grad.numpy(), weights.numpy() @ A.toarray(), rtol=1e-5)


@pytest.fixture(scope="module")
def trained():
    A = poisson(16)
    net, seen = deep.Network(2, (1, 1, 1), channels=8, rng=0), []
    data = deep.training_data(A, 100, 300, rng=0)
    run = deep.train(net, A, (16, 16), data, n_steps=150, lr=3e-3, rng=0, callback=lambda *each: seen.append(each))
    return A, net, run, seen


def test_training_lowers_the_loss_on_samples_it_never_saw(trained):
    _, net, run, seen = trained
    assert run.iterations == 150 and run.after < 0.6 * run.before and run.seconds > 0
    assert [k for k, _ in seen] == list(range(1, 151)) and [v for _, v in seen] == run.losses
    assert not any(w.requires_grad for w in net.weights)
    assert repr(run) == f"Training(150 steps, loss {run.before:.3g} before and {run.after:.3g} after)"


def test_a_time_limit_holds_for_each_training():
    limit, A = solvers.maxtime(1e-9), poisson(4)
    data = deep.training_data(A, 10, 20, rng=0)
    for _ in range(2):  # the clock starts anew
        network = deep.Network(2, (1, 1, 1), channels=2, rng=0)
        assert deep.train(network, A, (4, 4), data, rng=0, callback=limit).iterations == 1
        assert limit._began is None


def test_dcdm_with_a_trained_network_needs_fewer_iterations_than_cg(trained):
    A, net, _, _ = trained
    b = np.random.default_rng(9).standard_normal(256)
    result = linalg.dcdm(A, b, model=net.on((16, 16)), n_ortho=20, rtol=1e-8)
    assert result.converged and result.fell_back_at is None
    assert np.linalg.norm(b - A @ result.x) <= 1e-8 * np.linalg.norm(b)
    assert result.iterations < 0.8 * linalg.cg(A, b, rtol=1e-8).iterations


def test_an_untrained_network_is_survived():
    A, b = poisson(16), np.ones(256)
    for seed in range(3):
        assert linalg.dcdm(A, b, model=deep.network("2d", rng=seed).on((16, 16)), rtol=1e-8).converged


def test_a_seed_gives_the_same_training_and_a_stop_ends_it():
    def stop(step, value):
        if step == 3:
            raise StopIteration

    A = poisson(6)
    data = deep.training_data(A, 20, 30, rng=0)
    runs = []
    for _ in range(2):
        net = deep.Network(2, (0, 1, 0), channels=2, rng=0)
        runs.append(deep.train(net, A, (6, 6), data, n_steps=50, rng=5, callback=stop).losses)
    assert len(runs[0]) == 3 and np.allclose(*runs, rtol=1e-4)


def test_a_network_travels_in_a_file_and_in_a_pickle(tmp_path):
    net, r = deep.network("2d", rng=0), np.random.default_rng(0).standard_normal(30)
    net.save(tmp_path / "net.npz")
    wanted = net.on((5, 6))(r)
    assert np.array_equal(deep.load(tmp_path / "net.npz").on((5, 6))(r), wanted)
    assert np.array_equal(pickle.loads(pickle.dumps(net.on((5, 6))))(r), wanted)


def edited(path, **changes):
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **arrays | changes)


def rewritten(path, header=None, **changes):
    """The same with a checksum that agrees."""
    arrays, known = read_model(path, "network")
    arrays = {name: array for name, array in (arrays | changes).items() if array is not None}
    write_model(path, "network", arrays, known | (header or {}))


@pytest.mark.parametrize("damage, words", [
    (lambda path: edited(path, w0=np.zeros((2, 1, 3, 3), np.float32)), "checksum of '.*net.npz'"),
    (lambda path: edited(path, w0=np.array([{}], dtype=object)), "net.npz'; pickled models are not read"),
    (lambda path: path.write_bytes(pickle.dumps({"w0": 1})), "net.npz'; pickled models are not read"),
    (lambda path: rewritten(path, w0=np.full((2, 1, 3, 3), np.nan, np.float32)), "finite float32 weights"),
    (lambda path: rewritten(path, w0=np.zeros((1, 1, 3, 3), np.float32)), "finite float32 weights"),
    (lambda path: rewritten(path, w3=None), "finite float32 weights"),
    (lambda path: rewritten(path, w99=np.zeros(1, np.float32)), "finite float32 weights"),
    (lambda path: rewritten(path, header={"dims": 7}), "what network it holds"),
])  # fmt: skip
def test_a_file_that_is_no_network_is_refused_by_name(damage, words, tmp_path):
    path = tmp_path / "net.npz"
    deep.Network(2, (0, 0, 0), channels=2, rng=0).save(path)
    deep.load(path)
    damage(path)
    with pytest.raises(InvalidInput, match=f"`path`.*{words}"):
        deep.load(path)


def test_what_does_not_fit_is_refused():
    A, net = poisson(4), deep.Network(2, (0, 0, 0), channels=2, rng=0)
    data = np.ones((3, 16), np.float32)
    with pytest.raises(InvalidInput, match="`grid`"):
        net.on((2, 2, 2))
    with pytest.raises(InvalidInput, match="`mask`"):
        net.on((2, 2), np.ones((2, 3), bool))
    with pytest.raises(InvalidInput, match="`grid`"):
        net.on((4, 4))(np.ones(15))
    with pytest.raises(InvalidInput, match="`data`"):
        deep.train(net, A, (4, 4), data[:, 1:])
    with pytest.raises(InvalidInput, match="`held_out`"):
        deep.train(net, A, (4, 4), data, held_out=1.0)
    with pytest.raises(InvalidInput, match="`A`"):
        deep.train(net, poisson(3), (4, 4), data)
    with pytest.raises(UnsupportedType, match="`A`"):
        deep.train(net, A.toarray(), (4, 4), data)
    for wrong in ((4, (1, 1, 1)), (1, (1, 1, 1)), (2, (1, 1)), (2, (1, -1, 1))):
        with pytest.raises(InvalidInput):
            deep.Network(*wrong)
    with pytest.raises(InvalidInput, match="`name`"):
        deep.network("64")


@pytest.mark.parametrize("header", [
    dict(dims=2, pairs=[0, 10**9, 0], channels=4), dict(dims=2, pairs=[0, 1, 0], channels=10**9),
    dict(dims="2", pairs=3),
])  # fmt: skip
def test_nothing_is_made_of_the_size_that_a_false_header_tells(header, tmp_path):
    write_model(tmp_path / "net.npz", "network", {"w0": np.zeros(3, np.float32)}, header)
    with pytest.raises(InvalidInput, match="what network|that fit"):
        deep.load(tmp_path / "net.npz")


def test_training_on_what_is_not_finite_or_too_fast_is_refused_and_leaves_no_nan():
    A = scipy.sparse.diags_array([-1.0, 4.0, -1.0], offsets=[-1, 0, 1], shape=(64, 64)).tocsr()
    data, network = np.random.default_rng(0).standard_normal((20, 64)), deep.Network(2, (0, 1, 0), channels=4, rng=0)
    wrong = (A * np.nan, data, 1e-4, "`A`"), (A, data * np.nan, 1e-4, "`data`"), (A, data, 1e30, "`lr`")
    for matrix, samples, lr, word in wrong:
        with pytest.raises(InvalidInput, match=word):
            deep.train(network, matrix, (8, 8), samples, lr=lr, n_steps=5, rng=0)
    assert all(bool(each.isfinite().all()) for each in network.weights)
    with pytest.raises(UnsupportedType, match="`network`"):
        deep.train(None, A, (8, 8), data)
    with pytest.raises(InvalidInput, match="`pairs`"):
        deep.Network(2, 3)
