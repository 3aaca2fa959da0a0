/*
 * make simulate: the pure deciders of lib/lease over 10,000 shards and 200 workers, on a clock of their own, from a seed.
 *
 *   SEED=n       another fate                       STEPS=n     ticks (250 ms) of the story that is all chance
 *   SHARDS=n WORKERS=n                              PLOTS=dir   charts as SVG; without it none
 *   ONLY=name    counts, deploy, loads or chance    CPU_BAR=no  how long a pass takes is printed, not judged
 *
 * A line of JSON for each story; what did not hold is a line of its own, and the exit code 1.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scenario.h"
#include "support/numbers.h"

int
main(void)
{
    static const struct {
        const char *name;
        int (*play)(const struct sim_options *options);
    } stories[] = {
        {"counts", sim_scenario_counts},
        {"deploy", sim_scenario_deploy},
        {"loads", sim_scenario_loads},
        {"chance", sim_scenario_chance},
    };
    const char *only = getenv("ONLY"), *bar = getenv("CPU_BAR"), *plots = getenv("PLOTS");
    struct sim_options options = {
        .seed = test_number("SEED", getenv("SEED"), 1, 0, UINT64_MAX),
        .shards = test_number("SHARDS", getenv("SHARDS"), 10000, 100, 1000000),
        .workers = test_number("WORKERS", getenv("WORKERS"), 200, 10, 10000),
        .steps = (int64_t)test_number("STEPS", getenv("STEPS"), 2400, 1, 10000000),
        .plots = plots != NULL && *plots != '\0' ? plots : NULL,
        .has_cpu_bar = bar == NULL || strcmp(bar, "no") != 0,
    };
    int failed = 0, played = 0;

    for (size_t i = 0; i < sizeof stories / sizeof *stories; i++) {
        if (only != NULL && *only != '\0' && strcmp(only, stories[i].name) != 0)
            continue;
        failed += stories[i].play(&options) != 0;
        played++;
    }
    if (played == 0)
        fprintf(stderr, "ONLY=%s: want counts, deploy, loads or chance\n", only);
    printf("%d passed, %d failed\n", played - failed, failed);
    return failed > 0 || played == 0;
}
