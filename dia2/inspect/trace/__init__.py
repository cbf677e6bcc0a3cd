"""A recorded run as data."""

from dia2.common.moved import names

__getattr__ = names(
    __name__,
    {
        "Frames": "dia2.adapter.frame:Frames",
        "Trace": "dia2.inspect:Trace",
        "load": "dia2.inspect:load",
        "sample": "dia2.inspect:sample",
    },
)
