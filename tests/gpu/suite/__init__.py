"""Checks and measurements of the kernels, of srek and of its peers on an NVIDIA GPU."""
