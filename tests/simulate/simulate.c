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

static uint64_t
number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text != NULL && *text != '\0' ? strtoull(text, NULL, 10) : otherwise;
}

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
        .seed = number("SEED", 1),
        .shards = number("SHARDS", 10000),
        .workers = number("WORKERS", 200),
        .steps = (int64_t)number("STEPS", 2400),
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
    printf("%d passed, %d failed\n", played - failed, failed);
    return failed > 0 || played == 0;
}
