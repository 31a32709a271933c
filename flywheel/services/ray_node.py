"""``ray start`` on loopback alone: run as ``python -m flywheel.services.ray_node start ...``.

Ray takes 127.0.0.1 for a mistake and listens on every interface instead, except on other systems
than Linux, where it allows no second node. A head and a worker on one machine want both. Ray's
client server, which is unused here, is left out.
"""

import os
import sys

__all__ = ["main"]

HOST = "127.0.0.1"


def main() -> None:
    """Run Ray's command line."""
    from ray._private import services
    from ray._private.node import Node
    from ray.scripts.scripts import main as ray_command

    services.get_node_ip_address = lambda address=None: HOST  # noqa: ARG005 - Ray's signature
    # A head that comes back would take the worker beside it for another cluster.
    services.find_gcs_addresses = set
    setattr(Node, "start_ray_client_server", lambda self: None)  # noqa: ARG005, B010 - (as above)
    # For what is started from here; this process has read it already.
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    sys.argv[0] = "ray"
    ray_command()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
