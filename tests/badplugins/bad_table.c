/* Refused by name: a sum of floats that does not say that it is inexact. */
#include "common.h"

static const struct leat_column columns[] = {
    {"k", LEAT_TEXT, LEAT_KEY}, {"total", LEAT_FLOAT64, LEAT_SUM}, LEAT_END};
static const struct leat_table tables[] = {{"sums", columns}, LEAT_END};

LEAT_PROCESSOR(.name = "bad_table", .version = "1", .tables = tables, .process = process);
