module example.org/peers

go 1.21

require clusterlocal v0.1.0

replace clusterlocal => ../../sdk/go
