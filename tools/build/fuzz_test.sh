#!/bin/sh
# fuzz_test.sh PROGRAM SEEDS: runs a fuzz target for VEDETTE_FUZZ_SECONDS (30). An input that breaks it
# is printed in base64 and kept in the test's outputs.
set -eu
program=$1
seeds=$2
mkdir -p "$TEST_TMPDIR/corpus"
[ -d "$seeds" ] || seeds=""
exec "$program" -max_total_time="${VEDETTE_FUZZ_SECONDS:-30}" -timeout=20 -rss_limit_mb=2048 \
  -print_final_stats=1 -artifact_prefix="${TEST_UNDECLARED_OUTPUTS_DIR:-$TEST_TMPDIR}/" \
  "$TEST_TMPDIR/corpus" $seeds
