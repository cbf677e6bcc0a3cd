"""`CsmTrace`: a recorded run of CSM, as data."""

from __future__ import annotations

import numpy as np

from csm_adapter import ADAPTER
from dia2.inspect.trace.declared_trace import DeclaredTrace


class CsmTrace(DeclaredTrace):
    """A recorded run of CSM; made by `dia2.inspect.load`. A call is one position of the backbone."""

    adapter = ADAPTER
    nothing_drawn = "a position of the prompt is read, and nothing is drawn."

    @property
    def frames(self) -> np.ndarray:
        """[F, K] the codes that were drawn."""
        return self.column("codes")[self.given_calls :]
