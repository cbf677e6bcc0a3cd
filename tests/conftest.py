"""Tiny models are many times faster with one torch thread, in this process and in those that tests start."""

import os

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"  # no test may ask the real hub; those with a local one set their own environment

import torch

torch.set_num_threads(1)
