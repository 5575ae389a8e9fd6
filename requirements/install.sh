#!/bin/sh
# Brings a virtual environment to the state of a lock file: install.sh PYTHON VENV run|dev
# Does nothing, quickly, when the environment is there already.
set -eu

python=$1 venv=$2 kind=$3
locks=$(dirname "$0")
modern='import sys; sys.exit(sys.version_info < (3, 11))'

# What an environment was installed from is kept in it. dev.txt holds all that run.txt does.
installed() { cmp -s "$locks/$1.txt" "$venv/$1.lock"; }

if [ -e "$venv" ] && ! "$venv/bin/python" -c "$modern" 2>/dev/null; then
    echo "$venv is of no use (no Python 3.11 in it): making it anew"
    rm -rf "$venv"
fi
if installed dev || { [ "$kind" = run ] && installed run; }; then
    exit 0
fi

if [ ! -e "$venv" ]; then
    if ! "$python" -c "$modern"; then
        echo "$python is older than 3.11: name another with 'make PYTHON=...'" >&2
        exit 2
    fi
    echo "Making $venv"
    "$python" -m venv "$venv"
fi

pip="$venv/bin/python -m pip -qq --disable-pip-version-check install --require-hashes"
echo "Installing requirements/$kind.txt"
cmp -s "$locks/uv.txt" "$venv/uv.lock" || $pip -r "$locks/uv.txt"
cp "$locks/uv.txt" "$venv/uv.lock"
# uv takes a second where pip takes half a minute, but does not read pip's configuration: where
# packages come from a mirror that only pip knows of, pip does it.
"$venv/bin/uv" pip install --quiet --python "$venv/bin/python" --require-hashes \
    -r "$locks/$kind.txt" || $pip -r "$locks/$kind.txt"
cp "$locks/$kind.txt" "$venv/$kind.lock"
