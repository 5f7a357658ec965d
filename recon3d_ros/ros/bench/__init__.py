"""`recon3d benchmark cloud|node|soak`."""
