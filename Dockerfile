# The gateway node: keepalived, conntrackd, nftables and the agent under supervisord.
#
# BASE may be pinned by digest (debian:trixie-slim@sha256:…), or made by images/base/make.sh where no
# image registry can be reached. Other package indexes: setup/requirements names none, so pip's own
# variables say which; HTTP(S)_PROXY are known to every build.
ARG BASE=debian:trixie-slim

# ---- The Python side, in a virtual environment without pip.
FROM ${BASE} AS python
# hadolint ignore=DL3008
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends python3 python3-venv
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_TRUSTED_HOST
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY setup/requirements/build.txt setup/requirements/runtime.txt ./
RUN python3 -m venv /opt/build \
    && python3 -m venv --without-pip /opt/vgw \
    && /opt/build/bin/pip install --quiet --require-hashes --only-binary :all: --requirement build.txt \
    && /opt/build/bin/pip --python /opt/vgw/bin/python install --quiet --no-compile \
        --require-hashes --only-binary :all: --requirement runtime.txt
COPY pyproject.toml README.md LICENSE ./
COPY appliance appliance
# Compiled here, for the root file system is read-only at run time; by hash, for files have no time of their own.
RUN /opt/build/bin/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir /tmp/wheel . \
    && /opt/build/bin/pip --python /opt/vgw/bin/python install --quiet --no-compile --no-deps /tmp/wheel/*.whl \
    && rm -rf /opt/vgw/lib/python3*/site-packages/supervisor/tests \
    && /opt/vgw/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/vgw/lib

# ---- The system side, then all taken out that a running gateway never opens.
FROM ${BASE} AS system
# hadolint ignore=DL3008
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
        conntrack conntrackd iproute2 iptables keepalived netbase nftables python3
COPY images/trim.sh /tmp/
# The files that programs look for by fixed names: supervisorctl finds the running node's own.
RUN ln -s /run/vgw/supervisord.conf /etc/supervisord.conf \
    && mkdir -p /etc/vgw \
    && sh /tmp/trim.sh

# ---- What is left, in two layers: the system changes rarely, the appliance often.
FROM scratch
# hadolint ignore=DL3067
COPY --from=system / /
COPY --from=python /opt/vgw /opt/vgw
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="VGW gateway node" \
      org.opencontainers.image.description="One node of a NAT gateway pair that shares one virtual gateway address" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
ENV PATH=/opt/vgw/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
STOPSIGNAL SIGTERM
# The agent's own word, not that a process exists: a look at one file, which a busy machine affords too.
HEALTHCHECK --interval=10s --timeout=5s --start-period=15s --retries=2 CMD ["vgw", "health"]
# A `docker stop` while Python still loads would be lost: the kernel drops what the first process has no
# handler for, but keeps what it has blocked. `vgw start` goes on from there.
ENTRYPOINT ["env", "--block-signal=TERM", "vgw"]
CMD ["start"]
