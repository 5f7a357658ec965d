"""`recon3d doctor`: what is wrong with the camera topics of a live graph."""
