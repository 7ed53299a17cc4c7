#!/bin/sh
case $1 in
primary) set -- -c -f -R -B ;;
backup) set -- -t -n ;;
fault) set -- -t ;;
esac
for word; do
    conntrackd -C /run/bench/conntrackd.conf "$word" || logger -t primary-backup "conntrackd -C /run/bench/conntrackd.conf $word failed"
done
