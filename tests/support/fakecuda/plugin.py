"""For pytest, `-p tests.support.fakecuda.plugin`: two pretended CUDA devices, before any test is loaded."""

from tests.support import fakecuda

fakecuda.install(devices=2)
