#!/bin/bash
# The simulation in a short form: 600 shards, 12 workers, three fates. `make simulate` is the whole of it. How long a pass takes is not
# judged here: it is a matter of the release build.
set -u
simulate=${LEAT_BUILD:?where leat was built}/tests/simulate/simulate
passed=0 failed=0
for seed in 1 2 3; do
    if SEED=$seed SHARDS=600 WORKERS=12 STEPS=600 CPU_BAR=no "$simulate"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
    fi
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
