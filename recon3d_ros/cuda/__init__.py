"""The GPU: context, memory, kernels and the stages made of them. The only importer of pycuda.

Everything here belongs to one thread, the worker's. Without pycuda the room imports, and opening a `Device`
says what is missing.
"""
