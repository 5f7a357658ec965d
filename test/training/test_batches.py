from __future__ import annotations

import pytest
import torch

from recon3d_ros.errors import DataError
from recon3d_ros.training.batches import Crops, batches, wait_for_pairs
from recon3d_ros.training.store import PairStore, pack_pair


def test_batches_come_from_another_process_and_differ(stores):
    stream = batches(Crops(stores[0].folder, (96, 64), 1), 3, loaders=1, pin_memory=False)
    (left, right, truth), (again, _, _) = next(stream), next(stream)
    assert left.shape == right.shape == (3, 3, 64, 96) and truth.shape == (3, 64, 96)
    assert left.dtype == truth.dtype == torch.float32
    assert not torch.equal(left, again) and torch.isfinite(truth).any()


@pytest.mark.parametrize("loaders", [0, 1])
def test_corrupt_pair_is_one_sentence_from_wherever_it_is_read(tmp_path, loaders):
    (tmp_path / "000000001.npy").write_bytes(b"no pair")
    with pytest.raises(DataError, match=r"^expected a rendered pair in .*delete the file$"):
        next(batches(Crops(tmp_path, (96, 64), 1), 1, loaders, pin_memory=False))


def test_new_pairs_are_used_while_the_stream_runs(tmp_path, make_sample):
    store = PairStore(tmp_path)
    store.write(1, pack_pair(make_sample(1)))
    stream = iter(Crops(tmp_path, (96, 64), 1))
    next(stream)
    for seed in range(2, 30):
        store.write(seed, pack_pair(make_sample(seed)))
    means = {round(float(next(stream)[0].mean()), 3) for _ in range(12)}
    assert len(means) > 6


def test_waiting_ends_when_the_pairs_are_there_or_nobody_renders(tmp_path, make_sample):
    store = PairStore(tmp_path / "pairs")
    with pytest.raises(DataError, match="no process renders"):
        wait_for_pairs(store, 1, alive=lambda: False)

    def render_one():
        store.write(len(store), pack_pair(make_sample(len(store))))
        return True

    wait_for_pairs(store, 2, alive=render_one)
    assert len(store) == 2
