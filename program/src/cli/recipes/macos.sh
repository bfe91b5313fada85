# untested: macOS, names of the cluster on the whole machine; dig and nslookup do not use it.
# Other names: the system's resolver, as before.
# To undo it, remove the file.
sudo mkdir -p /etc/resolver
sudo tee /etc/resolver/cluster.local <<'END'
nameserver 127.0.0.1
port 10053
END
# A pod's address can be bound once the loopback interface has it:
sudo ifconfig lo0 alias 127.244.0.1
