#!/bin/sh
# Installs into .venv with the arguments of `pip install`: by uv, which does a tenth of pip's work, or by pip where uv
# can't be had or can't do it. uv gets pip's own variables for indexes and certificates.
set -eu
python=.venv/bin/python
uv=.venv/bin/uv

pip() { "$python" -m pip install -q --disable-pip-version-check "$@"; }

[ -x "$uv" ] || pip --no-deps --require-hashes -r requirements/uv.txt || echo "without uv: pip takes longer" >&2

[ -z "${PIP_INDEX_URL:-}" ] || export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$PIP_INDEX_URL}"
[ -z "${PIP_EXTRA_INDEX_URL:-}" ] || export UV_INDEX="${UV_INDEX:-$PIP_EXTRA_INDEX_URL}"
[ -z "${PIP_CERT:-}" ] || export SSL_CERT_FILE="${SSL_CERT_FILE:-$PIP_CERT}"

[ -x "$uv" ] && "$uv" pip install -q --python "$python" "$@" || pip "$@"
