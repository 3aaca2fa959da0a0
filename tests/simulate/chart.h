/*
 * Charts as SVG: what each worker had over time as bands and a middle line, moves as stacked columns, what happened as marks.
 * Axes with round ticks and their units, a legend, text that can be read; no script, no font but the reader's own.
 */
#ifndef LEAT_SIMULATE_CHART_H
#define LEAT_SIMULATE_CHART_H

#include <stdbool.h>
#include <stddef.h>

struct sim_mark {
    double at_s;
    const char *text;
};

struct sim_chart {
    const char *file, *title, *subtitle, *y_label;
    double seconds; /* the x axis */
    const struct sim_mark *marks;
    size_t mark_count;
};

/* One moment: the least, a tenth, half, nine tenths, the most of all workers; and what one of them would fairly have. */
struct sim_band {
    double at_s, least, tenth, half, nine_tenths, most, fair;
};
/* 0, or the file cannot be written (said). */
int sim_chart_bands(const struct sim_chart *chart, const struct sim_band *bands, size_t count);

#define SIM_STACK_MOST 4
struct sim_column {
    double at_s, values[SIM_STACK_MOST];
};
int sim_chart_columns(const struct sim_chart *chart, const char *const *names, size_t name_count,
                      const struct sim_column *columns, size_t count);

#endif
