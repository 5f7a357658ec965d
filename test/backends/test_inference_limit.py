"""A model with a loop without an end: its inferences are ended, in every thread."""

from __future__ import annotations

import signal
import threading
import time

import numpy as np
import pytest

from recon3d_ros.backends import inference_limit, open_backend
from recon3d_ros.backends.inference_limit import end_inference_of
from recon3d_ros.errors import BackendError
from recon3d_ros.model_zoo.manifest_file import load_manifest
from test.endless_model import endless_model

FEED = {"image": np.zeros((1, 3, 8, 16), np.float32)}


@pytest.fixture
def endless(tmp_path):
    backend = open_backend("onnxruntime", load_manifest(endless_model(tmp_path)), threads=1)
    yield backend
    backend.close()


def test_it_is_ended_after_its_time_in_any_thread(tmp_path, monkeypatch):
    monkeypatch.setattr(inference_limit, "LIMIT_S", 0.2)
    backend = open_backend("onnxruntime", load_manifest(endless_model(tmp_path)), threads=1)
    failures = []

    def infer():
        with pytest.raises(BackendError, match=r"within 0.2 s, it was ended then") as caught:
            backend.infer(FEED)
        failures.append(caught)

    thread = threading.Thread(target=infer)
    thread.start()
    thread.join(30)
    infer()
    assert len(failures) == 2
    before = threading.active_count()
    backend.close()
    assert threading.active_count() < before


def test_nothing_watches_a_backend_that_is_idle(tmp_path, monkeypatch):
    monkeypatch.setattr(inference_limit, "LIMIT_S", 0.1)
    monkeypatch.setattr(inference_limit, "_IDLE_S", 0.01)
    backend = open_backend("onnxruntime", load_manifest(endless_model(tmp_path)), threads=1)
    others = set(threading.enumerate())
    for _ in range(2):  # and it is watched again when it works again
        with pytest.raises(BackendError, match="it was ended then"):
            backend.infer(FEED)
        ends_s = time.monotonic() + 20
        while any(each.name == "inference limit" for each in set(threading.enumerate()) - others):
            assert time.monotonic() < ends_s
            time.sleep(0.01)
    backend.close()


def test_another_thread_ends_it(endless):
    failures = []

    def infer():
        with pytest.raises(BackendError, match="terminate") as caught:
            endless.infer(FEED)
        failures.append(caught)

    thread = threading.Thread(target=infer)
    thread.start()
    while thread.is_alive():
        end_inference_of(thread)  # of an inference that has not begun there is nothing to end
        time.sleep(0.01)
    assert failures


def test_a_signal_ends_it_in_the_main_thread(endless):
    former = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with pytest.raises(KeyboardInterrupt):
            endless.infer(FEED)
    finally:
        signal.signal(signal.SIGALRM, former)
