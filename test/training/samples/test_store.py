from __future__ import annotations

import numpy as np
import pytest

from recon3d_ros.errors import DataError, OutputError
from recon3d_ros.training.samples.store import SampleStore, pack_pair, unpack_pair


def test_pair_survives_packing(make_sample):
    sample = make_sample(3)
    sample.disparity[5, 60:64] = (0.0, 0.503, 190.25, 300.0)
    left, right, disparity = unpack_pair(pack_pair(sample))
    np.testing.assert_array_equal(left, sample.frame.image)
    np.testing.assert_array_equal(right, sample.frame.right)
    assert np.isnan(disparity[5, 63]), "beyond what 16 bits hold"
    expected = np.where(sample.disparity > 255.9, np.nan, sample.disparity)
    np.testing.assert_allclose(disparity, expected, atol=1 / 512)


def test_mono_sample_is_refused(mono_sample):
    with pytest.raises(DataError, match="pair"):
        pack_pair(mono_sample)


def test_store_grows_while_it_is_read(tmp_path, make_sample):
    reader, writer = SampleStore(tmp_path / "pairs"), SampleStore(tmp_path / "pairs")
    assert reader.refresh() == 0
    for count in (1, 2, 3):
        writer.write(10 + count, pack_pair(make_sample(count)))
        assert reader.refresh() == count
    assert unpack_pair(reader.open(1))[2][0, 100] == make_sample(2).disparity[0, 100]


def test_draft_of_a_killed_renderer_is_no_pair(tmp_path, make_sample):
    store = SampleStore(tmp_path)
    store.write(1, pack_pair(make_sample(1)))
    (tmp_path / ".000000002.77").write_bytes(b"half a pair")
    assert store.refresh() == 1


@pytest.mark.parametrize("content", [b"", b"no numpy file", np.zeros(3).tobytes()])
def test_corrupt_pair_is_one_sentence(tmp_path, content):
    (tmp_path / "000000001.npy").write_bytes(content)
    store = SampleStore(tmp_path)
    store.refresh()
    with pytest.raises(DataError, match=r"000000001\.npy"):
        store.open(0)


def test_array_of_another_shape_is_one_sentence(tmp_path):
    np.save(tmp_path / "000000001.npy", np.zeros((4, 5, 3), np.uint8))
    store = SampleStore(tmp_path)
    store.refresh()
    with pytest.raises(DataError, match=r"\(4, 5, 3\)"):
        store.open(0)


def test_folder_that_cannot_be_written(tmp_path, make_sample):
    (tmp_path / "pairs").write_text("a file where the folder should be")
    with pytest.raises(OutputError, match="pairs"):
        SampleStore(tmp_path / "pairs").write(1, pack_pair(make_sample(1)))
