# untested: systemd-resolved from version 246 on, names of the cluster on the whole machine.
# Other names: the configured resolvers, as before.
# To undo it, remove the file and restart again.
sudo mkdir -p /etc/systemd/resolved.conf.d
sudo tee /etc/systemd/resolved.conf.d/clusterlocal.conf <<'END'
[Resolve]
DNS=127.0.0.1:10053
Domains=~cluster.local
DNSSEC=false
END
sudo systemctl restart systemd-resolved
