"""The recorder of `recon3d demo` and its report."""
