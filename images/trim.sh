#!/bin/sh
# Take out of the gateway's system what it never opens. Runs in the build, on a stage that is then
# copied whole; dpkg's list of what is installed stays, for scanners.
set -eu

# Programs that only install or configure others. keepalived links libperl (by libsnmp), which stays.
dpkg --purge --force-all apt perl-base debconf debconf-i18n tzdata ca-certificates openssl \
    openssl-provider-legacy adduser sysvinit-utils e2fsprogs logsave sqv libapt-pkg7.0 \
    debian-archive-keyring hostname 2>/dev/null >/dev/null || :

rm -rf /var/lib/apt /var/cache/* /var/log/* /var/lib/dpkg/info /var/lib/dpkg/*-old /etc/apt \
    /usr/share/doc /usr/share/man /usr/share/info /usr/share/locale /usr/share/i18n \
    /usr/share/zoneinfo /usr/share/perl /usr/share/perl5 /usr/lib/*/perl /usr/lib/*/perl-base \
    /usr/lib/*/gconv /usr/share/lintian /usr/share/bug /usr/share/snmp /usr/share/ca-certificates \
    /usr/local/share/ca-certificates /etc/ssl /etc/init.d /etc/cron* /usr/lib/systemd \
    /usr/lib/python3*/idlelib /usr/lib/python3*/ensurepip /usr/lib/python3*/pydoc_data \
    /usr/lib/python3*/test /usr/lib/python3*/lib2to3 /usr/lib/python3*/turtledemo \
    /usr/share/python3/runtime.d /usr/share/gcc /usr/share/gdb /tmp/* "${HOME:?}/.cache"

# Bytecode that knows no file times, so that a read-only start compiles nothing.
python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash /usr/lib/python3* >/dev/null || :
ldconfig
