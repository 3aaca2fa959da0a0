/* What happens when, and what is written down of it. */
#ifndef LEAT_SIMULATE_SCENARIO_H
#define LEAT_SIMULATE_SCENARIO_H

#include "chart.h"
#include "world.h"

#define SIM_MARKS_MOST 64

struct sim_options {
    uint64_t seed;
    size_t shards, workers;
    int64_t steps;     /* ticks of the scenario that is all chance */
    const char *plots; /* a folder; NULL: none */
    bool has_cpu_bar;
};

struct sim_scenario {
    const struct sim_options *options;
    struct sim_world *world;
    int64_t began_us; /* of what is written down; it settles before */
    struct sim_mark marks[SIM_MARKS_MOST];
    size_t mark_count;
    char texts[SIM_MARKS_MOST][80];
    struct sim_band *leases, *busy;
    struct sim_column *moves;
    size_t sample_count, sample_capacity, busy_capacity, move_count, move_capacity;
    struct sim_counts before; /* as of the last column */
    struct sim_counts begun;
};

/* shards and workers of the options, settled. */
void sim_begin(struct sim_scenario *scenario, const struct sim_options *options, const char *name,
               size_t stream_count);
/* So many seconds go by. */
void sim_run(struct sim_scenario *scenario, double seconds);
void sim_mark(struct sim_scenario *scenario, const char *format, ...) LEAT_PRINTF(2, 3);
double sim_seconds(const struct sim_scenario *scenario);
/* Prints the line, writes the charts; 0: everything held. */
int sim_end(struct sim_scenario *scenario, const char *title);

/* scenarios.c */
int sim_scenario_counts(const struct sim_options *options);
int sim_scenario_deploy(const struct sim_options *options);
int sim_scenario_loads(const struct sim_options *options);
int sim_scenario_chance(const struct sim_options *options);

#endif
