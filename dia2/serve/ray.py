"""The same application on Ray Serve: replicas on many machines, more of them as requests wait.

    serve run dia2.serve.ray:nano              # or from Python: ray.serve.run(deployment(Dia2.from_repo, "…"))

Each replica loads the checkpoint and has its own rows, queue and recorded runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dia2.common.errors import Dia2Error
from dia2.engine import Dia2
from dia2.serve.app import application
from dia2.serve.limits import Limits


def deployment(
    checkpoint: Callable[[], Dia2],
    *,
    least: int = 1,
    most: int = 4,
    limits: Limits | None = None,
    actor: Mapping[str, Any] | None = None,
    **options: Any,
) -> Any:
    """An application of Ray Serve, for `ray.serve.run`.

    Args:
        checkpoint: makes it, in each replica.
        least: replicas there always are.
        most: that there may be, once more requests are under way than two thirds of the rows that there are.
        limits: of each replica.
        actor: what a replica takes, as Ray's `ray_actor_options`: `{"num_gpus": 1}`.
        **options: of `application`: voices, runs, token.

    Raises:
        Dia2Error: Ray Serve is not installed.
    """
    try:
        from ray import serve
    except ImportError as error:
        raise Dia2Error("Serving on Ray needs it: pip install 'dia2-inspect[serve,ray]'.") from error
    own = limits or Limits()

    def build() -> Any:
        return application(checkpoint(), limits=own, local=False, **options)

    scaling = {
        "min_replicas": least,
        "max_replicas": most,
        "target_ongoing_requests": max(1, own.rows * 2 // 3),
    }
    decorated = serve.deployment(
        name="dia2",
        autoscaling_config=scaling,
        max_ongoing_requests=own.rows + own.queue,
        ray_actor_options=dict(actor or {}),
    )(serve.ingress(build)(type("Dia2Server", (), {})))
    return decorated.bind()


def nano(arguments: Mapping[str, str]) -> Any:
    """The embedded checkpoint, for `serve run dia2.serve.ray:nano least=2`."""
    return deployment(Dia2.nano, least=int(arguments.get("least", "1")), most=int(arguments.get("most", "4")))
