"""A frame in Triton kernels: what the modules compute, in a fifth of the launches. Asked for by `use_triton`.

Each function here takes what its eager form takes, for one frame of at most eight rows, and its tests hold it to that
form. Nothing here is imported before a run asks for kernels (`dia2.runtime.forms`): Triton need not be there.
"""
