# A client of one member: writes whether the member takes a write, and what the member has of an earlier one.
if [ "$HOSTNAME" = etcd-0 ]; then
  until etcdctl --command-timeout=1s put data kept; do sleep 0.2; done
fi
while :; do
  writes=
  etcdctl --command-timeout=1s put "from-$HOSTNAME" x && writes='writes '
  data=$(etcdctl --command-timeout=1s get --consistency=s --print-value-only data)
  echo "$writes$data" > "/out/$HOSTNAME.new"
  mv "/out/$HOSTNAME.new" "/out/$HOSTNAME"
  sleep 0.1
done
