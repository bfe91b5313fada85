# untested: Docker, containers that use it as their resolver.
# Containers query port 53, here of the bridge's address, which requires root. They cannot reach pods in 127.0.0.0/8: with a
# network of the range below and docker run --ip, containers have the addresses of the pods.
# Other names: --upstream system forwards them to the resolvers of this machine.
sudo clusterlocal serve --listen 172.17.0.1:53 --pod-cidr 10.244.0.0/16 --upstream system
docker run --dns 172.17.0.1 --dns-option ndots:5 \
  --dns-search default.svc.cluster.local --dns-search svc.cluster.local --dns-search cluster.local
