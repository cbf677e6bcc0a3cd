"""Record the trace that ships with the embedded checkpoint, anew whenever its weights change.

python -m training.sample
"""

from __future__ import annotations

from dia2.engine import Dia2
from dia2.inspect import load
from dia2.runtime.assets import nano_folder

SCRIPT = '[S1] Hello there. How are you today? <break time="0.4s"/> [S2] Not too bad, thank you. And you?'


def main() -> None:
    """Speak and record."""
    path = nano_folder() / "sample.dia2trace"
    Dia2.nano(device="cpu", dtype="float32").generate(SCRIPT, seed=1, trace=path)
    print(load(path))


if __name__ == "__main__":
    main()
