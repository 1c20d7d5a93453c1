#!/bin/sh
# Rebuilds tests/data/slices: one slice of each guest, with the monitor's answers.
set -eu
cd "$(dirname "$0")/.."
# The embedded sample: a kernel where everybody expects one.
python3 -m lab.slice x86_64-4level --space --append nokaslr --string "Linux version 6" \
    --user-string "TERM=linux"
cp ../data/slices/x86_64-4level.elf.zst ../../rr-mem/data/sample.elf.zst
for guest in x86_64-5level i386 i386-pae arm-short arm-lpae aarch64-a57 aarch64-max; do
    python3 -m lab.slice "$guest" --string "Linux version 6"
done
