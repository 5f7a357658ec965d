"""Train our own networks, on the procedural world and on images with depth, and export them.

`config.TrainConfig` and `loop.train` train, `export.export` writes the model; `recon3d train` and
`recon3d export` call these. Only `config` loads without torch.
"""
