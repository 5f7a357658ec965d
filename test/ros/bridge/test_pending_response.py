"""The response of a service that another thread completes: the first one counts, whoever gives it."""

from __future__ import annotations

import threading

from recon3d_ros.ros.bridge.pending_response import PendingResponse


def test_the_first_response_counts():
    pending = PendingResponse()
    assert not pending.future.done()
    threads = [threading.Thread(target=pending.finish, args=(True, f"{i}")) for i in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    said = pending.future.result()
    pending.finish(False, "too late")
    assert said[0] and pending.future.result() == said
