# untested: Docker, containers that use it as their resolver.
# They ask port 53 of an address that they reach: here that of the bridge, where it takes root. Pods at 127.0.0.0/8 are
# out of their reach: a network of the range below, and docker run --ip, give containers the pods' addresses.
# Other names: --upstream system forwards them to the resolvers of this machine.
sudo clusterlocal serve --listen 172.17.0.1:53 --pod-cidr 10.244.0.0/16 --upstream system
docker run --dns 172.17.0.1 --dns-option ndots:5 \
  --dns-search default.svc.cluster.local --dns-search svc.cluster.local --dns-search cluster.local
