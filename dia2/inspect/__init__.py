"""Everything that looks at a run: recording, the trace and what can be asked of it.

from dia2.inspect import load, record

with record("run.dia2trace", level="full"):
    tts.generate(script)
trace = load("run.dia2trace")
trace.explore()
"""

from dia2.inspect.follow import follow
from dia2.inspect.frame import Frame, TraceWord
from dia2.inspect.recorder import Recorder, record
from dia2.inspect.sweep import Sweep, sweep
from dia2.inspect.trace import Trace, load, sample
from dia2.inspect.watch import Watch

__all__ = ["Frame", "Recorder", "Sweep", "Trace", "TraceWord", "Watch", "follow", "load", "record", "sample", "sweep"]
