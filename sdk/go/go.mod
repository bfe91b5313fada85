module clusterlocal

go 1.21
