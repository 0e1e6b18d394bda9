"""A Ray cluster of several nodes on this machine, each a raylet of its own: run as a script.

Prints one JSON line (address, and the process id of each node's raylet, the head first), then
waits for its standard input to close and ends every process it started, those a test killed
included. All of it listens on the loopback address alone and writes below ``RAY_TMPDIR``.
"""

from __future__ import annotations

import json
import sys

from ray.cluster_utils import Cluster

NODE = {"num_cpus": 1, "object_store_memory": 80 << 20, "node_ip_address": "127.0.0.1"}

# A machine busy with other tests must not lose a node that lives.
HEALTH = {"health_check_period_ms": 1_000, "health_check_failure_threshold": 20}


def main() -> None:
    """Starts ``sys.argv[1]`` nodes."""
    head = {**NODE, "include_dashboard": False, "_system_config": HEALTH}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        others = [cluster.add_node(**NODE) for _ in range(int(sys.argv[1]) - 1)]
        raylets = [
            node.all_processes["raylet"][0].process.pid for node in (cluster.head_node, *others)
        ]
        print(json.dumps({"address": cluster.address, "raylets": raylets}), flush=True)
        sys.stdin.read()
    finally:
        for node in list(cluster.worker_nodes):
            cluster.remove_node(node, allow_graceful=False)
        cluster.remove_node(cluster.head_node, allow_graceful=False)


if __name__ == "__main__":
    main()
