"""Decode MPEG audio to standard output: a program of its own, run by `mpeg.py`, that imports nothing of dia2.

Standard output gets one line, `RATE CHANNELS FRAMES` or `! REASON`, then the samples [N, C], float32 of this machine.
"""

import sys

import soundfile


def main(path: str, seconds: float) -> int:
    """Write the first `seconds` of the file at `path` and a sample more; 1 if it cannot be read."""
    out = sys.stdout.buffer
    try:
        with soundfile.SoundFile(path) as file:
            # At once: soundfile seeks after every read, and in MPEG audio that does not hit the same sample.
            samples = file.read(int(seconds * file.samplerate) + 1, dtype="float32", always_2d=True)
            out.write(f"{file.samplerate} {file.channels} {file.frames}\n".encode())
            out.write(samples.tobytes())
    except soundfile.LibsndfileError as error:
        out.write(f"! {error.error_string}\n".encode())
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], float(sys.argv[2])))
