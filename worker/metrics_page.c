/* `leat metrics`: every metric that a worker has, as docs/metrics.md. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "worker/command.h"
#include "worker/metrics_table.h"

int
leat_command_metrics(int argc, char **argv)
{
    LEAT_AUTO_BUF out = LEAT_BUF_INIT;

    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        fputs("leat metrics: every metric that a worker has, in Markdown\n\n"
              "  leat metrics\n"
              "  curl -s http://127.0.0.1:9464/metrics      # what one says now\n\n"
              "Name, type, labels, unit, meaning, and what to alert on.\n",
              stdout);
        return LEAT_EXIT_OK;
    }
    if (argc != 1) {
        fputs("leat metrics: it takes no arguments; see leat metrics --help\n", stderr);
        return LEAT_EXIT_USAGE;
    }
    leat_metrics_page(&out);
    if (fwrite(leat_buf_text(&out), 1, out.size, stdout) != out.size || fflush(stdout) != 0) {
        perror("leat metrics: standard output");
        return LEAT_EXIT_FAILED;
    }
    return LEAT_EXIT_OK;
}
