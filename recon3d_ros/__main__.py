"""`python -m recon3d_ros` is the same as the `recon3d` command."""

from __future__ import annotations

from recon3d_ros.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
