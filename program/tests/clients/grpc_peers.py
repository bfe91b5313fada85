"""Serves gRPC at addresses, calls them by a target, each in its turn, and prints which were there. Arguments: the target,
with port 9042 for that of the servers, and the addresses."""
import json
import sys
from concurrent import futures
import grpc

port = 0
for address in sys.argv[2:]:
    answer = grpc.unary_unary_rpc_method_handler(lambda request, context, address=address: address.encode())
    server = grpc.server(futures.ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("Peer", {"Address": answer}),))
    port = server.add_insecure_port(f"{address}:{port}")
    server.start()

policy = ("grpc.service_config", json.dumps({"loadBalancingConfig": [{"round_robin": {}}]}))
channel = grpc.insecure_channel(sys.argv[1].replace(":9042", f":{port}"), options=[policy])
call = channel.unary_unary("/Peer/Address")
# Until all are connected, those that are get all calls.
heard = set()
for _ in range(10000):
    heard.add(call(b"", timeout=10, wait_for_ready=True).decode())
    if len(heard) == len(sys.argv[2:]):
        break
print(*sorted(heard))
