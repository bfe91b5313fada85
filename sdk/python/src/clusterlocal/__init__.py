"""A Kubernetes cluster's DNS and API in a test, without the cluster.

>>> with Cluster(topology="sets: {db: {replicas: 3}}") as cluster:
...     cluster.scale("db", 5).names[0].name
'db-3.db.default'
"""

from ._version import VERSION as __version__
from .cluster import Cluster, Node, Pod
from .errors import ClusterError, QueryError
from .faults import Fault
from .marks import Change, Mark, NameChange
from .queries import Queries, Query

__all__ = [
    "Change",
    "Cluster",
    "ClusterError",
    "Fault",
    "Mark",
    "NameChange",
    "Node",
    "Pod",
    "Queries",
    "Query",
    "QueryError",
    "__version__",
]
