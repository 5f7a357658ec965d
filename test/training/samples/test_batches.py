from __future__ import annotations

import gc
import multiprocessing
import signal
from itertools import islice

import pytest
import torch

from recon3d_ros.errors import DataError
from recon3d_ros.training.samples.batches import CropDataset, EndlessBatchSampler, batches, wait_for_samples
from recon3d_ros.training.samples.store import SampleStore, pack_pair


def test_batches_come_from_another_process_and_differ(stores):
    stream = batches(
        CropDataset({stores[0].folder: 1.0}, (96, 64), 1),
        EndlessBatchSampler(0, 3),
        loaders=1,
        pin_memory=False,
    )
    (left, right, truth), (again, _, _) = next(stream), next(stream)
    assert left.shape == right.shape == (3, 3, 64, 96) and truth.shape == (3, 64, 96)
    assert left.dtype == truth.dtype == torch.float32
    assert not torch.equal(left, again) and torch.isfinite(truth).any()


def test_crops_depend_on_seed_and_index_alone(stores):
    """Not on who makes them: a resumed run, one with other loaders, one of several processes."""
    crops = CropDataset({stores[0].folder: 1.0}, (96, 64), 1)
    here = batches(crops, EndlessBatchSampler(4, 2), loaders=0, pin_memory=False)
    there = batches(
        CropDataset({stores[0].folder: 1.0}, (96, 64), 1),
        EndlessBatchSampler(4, 2),
        loaders=2,
        pin_memory=False,
    )
    for first in (4, 6, 8):
        one, other = next(here), next(there)
        for a, b in zip(one, other):
            torch.testing.assert_close(a, b, equal_nan=True, rtol=0.0, atol=0.0)
        torch.testing.assert_close(one[0][1], torch.from_numpy(crops[first + 1][0]))
    assert not torch.equal(
        one[0][0], torch.from_numpy(CropDataset({stores[0].folder: 1.0}, (96, 64), 2)[8][0])
    )


def test_loader_does_not_hear_of_ctrl_c_even_before_it_is_ready(stores, ctrl_c_on_arrival):
    crops = CropDataset({stores[0].folder: 1.0}, (96, 64), 1)
    vars(crops)["extra"] = ctrl_c_on_arrival
    stream = batches(crops, EndlessBatchSampler(0, 2), loaders=1, pin_memory=False)
    assert len(next(stream)) == 3
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    stream.close()


def test_processes_take_crops_in_turn_and_none_twice():
    rows = [list(islice(EndlessBatchSampler(100 + rank * 3, 3, stride=6), 2)) for rank in (0, 1)]
    assert rows == [[[100, 101, 102], [106, 107, 108]], [[103, 104, 105], [109, 110, 111]]]


@pytest.mark.parametrize("loaders", [0, 1])
def test_corrupt_pair_is_one_sentence_from_wherever_it_is_read(tmp_path, loaders):
    (tmp_path / "000000001.npy").write_bytes(b"no pair")
    gc.disable()  # the error is enough to end the loaders: an exit does not wait for the collector
    try:
        with pytest.raises(DataError, match=r"^expected a stored sample in .*delete the file$"):
            next(
                batches(
                    CropDataset({tmp_path: 1.0}, (96, 64), 1),
                    EndlessBatchSampler(0, 1),
                    loaders,
                    pin_memory=False,
                )
            )
        assert not multiprocessing.active_children()
    finally:
        gc.enable()


def test_new_pairs_are_used_while_the_stream_runs(tmp_path, make_sample):
    store = SampleStore(tmp_path)
    store.write(1, pack_pair(make_sample(1)))
    crops = CropDataset({tmp_path: 1.0}, (96, 64), 1)
    crops[0]
    for seed in range(2, 30):
        store.write(seed, pack_pair(make_sample(seed)))
    means = {round(float(crops[index][0].mean()), 3) for index in range(12)}
    assert len(means) > 6


def test_waiting_ends_when_the_pairs_are_there_or_nobody_renders(tmp_path, make_sample):
    store = SampleStore(tmp_path / "pairs")
    with pytest.raises(DataError, match="no process renders"):
        wait_for_samples(store, 1, alive=lambda: False)

    def render_one():
        store.write(len(store), pack_pair(make_sample(len(store))))
        return True

    wait_for_samples(store, 2, alive=render_one)
    assert len(store) == 2
