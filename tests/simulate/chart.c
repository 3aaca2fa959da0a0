#include "chart.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define WIDTH 1100
#define HEIGHT 460
#define LEFT 84
#define RIGHT 24
#define TOP 92
#define BOTTOM 64
#define MARK_ROWS 3
#define TICKS 6
#define MIDDLE "stroke=\"#163a56\" stroke-width=\"1.8\""
#define EQUAL "stroke=\"#b8443c\" stroke-width=\"1.5\" stroke-dasharray=\"6 4\""

struct drawing {
    FILE *file;
    const struct sim_chart *chart;
    double y_least, y_most;
};

static const char *const colors[SIM_STACK_MOST] = {"#2f6f9f", "#e0a030", "#b8443c", "#7a7a7a"};

static double
x_of(const struct drawing *drawing, double at_s)
{
    return LEFT + (WIDTH - LEFT - RIGHT) * at_s / drawing->chart->seconds;
}

static double
y_of(const struct drawing *drawing, double value)
{
    return HEIGHT - BOTTOM -
           (HEIGHT - TOP - BOTTOM) * (value - drawing->y_least) /
               (drawing->y_most - drawing->y_least);
}

/* 1, 2 or 5 times a power of ten, so that about so many fit. */
static double
round_step(double range, int count)
{
    double step = range / count, power = pow(10, floor(log10(step)));

    if (step / power > 5)
        return 10 * power;
    return step / power > 2 ? 5 * power : step / power > 1 ? 2 * power : power;
}

static void
text(const struct drawing *drawing, double x, double y, const char *style, const char *words)
{
    fprintf(drawing->file, "<text x=\"%.1f\" y=\"%.1f\" %s>", x, y, style);
    for (const char *at = words; *at != '\0'; at++) {
        if (*at == '<' || *at == '>' || *at == '&')
            fprintf(drawing->file, "&#%d;", *at);
        else
            fputc(*at, drawing->file);
    }
    fprintf(drawing->file, "</text>\n");
}

static void
draw_y_axis(const struct drawing *drawing)
{
    double step = round_step(drawing->y_most - drawing->y_least, TICKS);

    for (double value = drawing->y_least; value <= drawing->y_most * 1.0001; value += step) {
        double y = y_of(drawing, value);
        char words[32];

        snprintf(words, sizeof words, "%.*f", step < 0.1 ? 2 : step < 1 ? 1 : 0, value);
        fprintf(drawing->file,
                "<line x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\" stroke=\"#e4e4e4\"/>\n", LEFT, y,
                WIDTH - RIGHT, y);
        text(drawing, LEFT - 8, y + 4, "text-anchor=\"end\"", words);
    }
    fprintf(drawing->file,
            "<text transform=\"translate(22 %d) rotate(-90)\" text-anchor=\"middle\">%s</text>\n",
            (TOP + HEIGHT - BOTTOM) / 2, drawing->chart->y_label);
}

static void
draw_x_axis(const struct drawing *drawing)
{
    static const double steps[] = {10, 15, 30, 60, 120, 300, 600, 1200};
    double step = 0;

    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        step = steps[i];
        if (drawing->chart->seconds / step <= 12)
            break;
    }
    for (double at_s = 0; at_s <= drawing->chart->seconds * 1.0001; at_s += step) {
        double x = x_of(drawing, at_s);
        char words[32];

        if (step < 60)
            snprintf(words, sizeof words, "%.0f", at_s);
        else
            snprintf(words, sizeof words, "%.0f", at_s / 60);
        fprintf(drawing->file,
                "<line x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\" stroke=\"#555\"/>\n", x,
                HEIGHT - BOTTOM, x, HEIGHT - BOTTOM + 5);
        text(drawing, x, HEIGHT - BOTTOM + 20, "text-anchor=\"middle\"", words);
    }
    fprintf(drawing->file,
            "<line x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\" stroke=\"#555\"/>\n"
            "<line x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\" stroke=\"#555\"/>\n",
            LEFT, HEIGHT - BOTTOM, WIDTH - RIGHT, HEIGHT - BOTTOM, LEFT, TOP, LEFT,
            HEIGHT - BOTTOM);
    text(drawing, (LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 22, "text-anchor=\"middle\"",
         step < 60 ? "simulated time (seconds)" : "simulated time (minutes)");
}

/* What happened; in a row of its own where it would lie on the one before. */
static void
draw_marks(const struct drawing *drawing)
{
    double ends[MARK_ROWS] = {0};

    for (size_t i = 0; i < drawing->chart->mark_count; i++) {
        const struct sim_mark *mark = &drawing->chart->marks[i];
        double x = x_of(drawing, mark->at_s), width = 6.4 * (double)strlen(mark->text) + 10;
        bool is_late = x + width > WIDTH - RIGHT;
        size_t row = 0;

        fprintf(drawing->file,
                "<line x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\" stroke=\"#888\" "
                "stroke-dasharray=\"3 3\"/>\n",
                x, TOP, x, HEIGHT - BOTTOM);
        while (row + 1 < MARK_ROWS && ends[row] > (is_late ? x - width : x))
            row++;
        ends[row] = is_late ? x : x + width;
        text(drawing, is_late ? x - 4 : x + 4, TOP + 13 + 14 * (double)row,
             is_late ? "font-size=\"11.5\" fill=\"#444\" text-anchor=\"end\""
                     : "font-size=\"11.5\" fill=\"#444\"",
             mark->text);
    }
}

static int
begin(struct drawing *drawing, const struct sim_chart *chart, double least, double most)
{
    double range = most > least ? 1.2 * (most - least) : 1, step = round_step(range, TICKS);

    drawing->chart = chart;
    drawing->y_least = step * floor(least / step);
    drawing->y_most = step * ceil((least + range) / step); /* room for the marks' texts */
    drawing->file = fopen(chart->file, "w");
    if (drawing->file == NULL) {
        fprintf(stderr, "could not write \"%s\": %s\n", chart->file, strerror(errno));
        return -1;
    }
    fprintf(drawing->file,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" "
            "height=\"%d\" font-family=\"sans-serif\" font-size=\"13\" fill=\"#222\">\n"
            "<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n",
            WIDTH, HEIGHT, WIDTH, HEIGHT, WIDTH, HEIGHT);
    text(drawing, LEFT, 28, "font-size=\"18\" font-weight=\"bold\"", chart->title);
    text(drawing, LEFT, 48, "fill=\"#555\"", chart->subtitle);
    draw_y_axis(drawing);
    return 0;
}

/* One entry of the legend; returns where the next begins. */
static double
legend(const struct drawing *drawing, double x, const char *color, double opacity, const char *what)
{
    fprintf(drawing->file,
            "<rect x=\"%.1f\" y=\"62\" width=\"16\" height=\"12\" fill=\"%s\" "
            "fill-opacity=\"%.2f\"/>\n",
            x, color, opacity);
    text(drawing, x + 22, 73, "", what);
    return x + 46 + 7.2 * (double)strlen(what);
}

static double
legend_line(const struct drawing *drawing, double x, const char *style, const char *what)
{
    fprintf(drawing->file, "<line x1=\"%.1f\" y1=\"68\" x2=\"%.1f\" y2=\"68\" %s/>\n", x, x + 20,
            style);
    text(drawing, x + 26, 73, "", what);
    return x + 50 + 7.2 * (double)strlen(what);
}

static int
end(struct drawing *drawing)
{
    draw_marks(drawing);
    draw_x_axis(drawing);
    fprintf(drawing->file, "</svg>\n");
    if (fclose(drawing->file) == 0)
        return 0;
    fprintf(stderr, "could not write \"%s\": %s\n", drawing->chart->file, strerror(errno));
    return -1;
}

/* ---- bands --------------------------------------------------------------------------------------- */

enum edge { EDGE_LEAST, EDGE_TENTH, EDGE_HALF, EDGE_NINE_TENTHS, EDGE_MOST, EDGE_FAIR };

static double
edge_of(const struct sim_band *band, enum edge edge)
{
    const double values[] = {band->least,       band->tenth, band->half,
                             band->nine_tenths, band->most,  band->fair};

    return values[edge];
}

static void
draw_area(const struct drawing *drawing, const struct sim_band *bands, size_t count,
          const enum edge *edges, double opacity)
{
    fprintf(drawing->file, "<path fill=\"#2f6f9f\" fill-opacity=\"%.2f\" d=\"M", opacity);
    for (size_t i = 0; i < count; i++)
        fprintf(drawing->file, "%.1f %.1f ", x_of(drawing, bands[i].at_s),
                y_of(drawing, edge_of(&bands[i], edges[1])));
    for (size_t i = count; i-- > 0;)
        fprintf(drawing->file, "%.1f %.1f ", x_of(drawing, bands[i].at_s),
                y_of(drawing, edge_of(&bands[i], edges[0])));
    fprintf(drawing->file, "Z\"/>\n");
}

static void
draw_line(const struct drawing *drawing, const struct sim_band *bands, size_t count, enum edge edge,
          const char *style)
{
    fprintf(drawing->file, "<polyline fill=\"none\" %s points=\"", style);
    for (size_t i = 0; i < count; i++)
        fprintf(drawing->file, "%.1f,%.1f ", x_of(drawing, bands[i].at_s),
                y_of(drawing, edge_of(&bands[i], edge)));
    fprintf(drawing->file, "\"/>\n");
}

int
sim_chart_bands(const struct sim_chart *chart, const struct sim_band *bands, size_t count)
{
    struct drawing drawing;
    double least = count > 0 ? bands[0].least : 0, most = 0, x = LEFT;

    for (size_t i = 0; i < count; i++) {
        least = bands[i].least < least ? bands[i].least : least;
        most = bands[i].most > most ? bands[i].most : most;
    }
    /* Where all is far from nothing, the axis begins there, too. */
    if (begin(&drawing, chart, least > most / 3 ? least - (most - least) / 4 : 0, most) != 0)
        return -1;
    draw_area(&drawing, bands, count, (const enum edge[]){EDGE_LEAST, EDGE_MOST}, 0.18);
    draw_area(&drawing, bands, count, (const enum edge[]){EDGE_TENTH, EDGE_NINE_TENTHS}, 0.40);
    draw_line(&drawing, bands, count, EDGE_FAIR, EQUAL);
    draw_line(&drawing, bands, count, EDGE_HALF, MIDDLE);
    x = legend_line(&drawing, x, MIDDLE, "the worker in the middle");
    x = legend(&drawing, x, "#2f6f9f", 0.58, "four workers of five");
    x = legend(&drawing, x, "#2f6f9f", 0.18, "all workers, least to most");
    legend_line(&drawing, x, EQUAL, "an equal share");
    return end(&drawing);
}

/* ---- columns ------------------------------------------------------------------------------------- */

int
sim_chart_columns(const struct sim_chart *chart, const char *const *names, size_t name_count,
                  const struct sim_column *columns, size_t count)
{
    double most = 0, x = LEFT;
    struct drawing drawing;

    for (size_t i = 0; i < count; i++) {
        double sum = 0;

        for (size_t n = 0; n < name_count; n++)
            sum += columns[i].values[n];
        most = sum > most ? sum : most;
    }
    if (begin(&drawing, chart, 0, most) != 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        double end_s = i + 1 < count ? columns[i + 1].at_s : chart->seconds, sum = 0;
        double left = x_of(&drawing, columns[i].at_s), right = x_of(&drawing, end_s);

        for (size_t n = 0; n < name_count; n++) {
            double low = y_of(&drawing, sum), high = y_of(&drawing, sum += columns[i].values[n]);

            if (low - high > 0.05)
                fprintf(drawing.file,
                        "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" "
                        "fill=\"%s\"/>\n",
                        left, high, right - left > 1.4 ? right - left - 0.4 : 1.0, low - high,
                        colors[n]);
        }
    }
    for (size_t n = 0; n < name_count; n++)
        x = legend(&drawing, x, colors[n], 1, names[n]);
    return end(&drawing);
}
