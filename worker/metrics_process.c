/* The names that every Prometheus client has for these. Linux alone: from /proc. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "worker/metrics_parts.h"

/* The second number of /proc/self/statm, in pages. */
static double
resident_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    long long pages = 0;

    if (file != NULL && fscanf(file, "%*s %lld", &pages) != 1)
        pages = 0;
    if (file != NULL)
        fclose(file);
    return (double)(pages * (long long)sysconf(_SC_PAGESIZE));
}

static double
cpu_seconds(void)
{
    struct timespec used = {0};

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

/* But for the one that looks. */
static double
open_files(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int count = -1;

    if (folder == NULL)
        return 0;
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(folder);
    return count;
}

static double
most_files(void)
{
    struct rlimit limit = {0};

    getrlimit(RLIMIT_NOFILE, &limit);
    return (double)limit.rlim_cur;
}

/* When the machine began, by the clock of now: the number behind "btime". */
static double
boot_seconds(void)
{
    FILE *file = fopen("/proc/stat", "re");
    char line[4096];
    long long seconds = 0;

    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "btime %lld", &seconds) == 1)
            break;
    }
    if (file != NULL)
        fclose(file);
    return (double)seconds;
}

/* The 22nd field of /proc/self/stat, in ticks since the machine began; the second one, a name in brackets, may hold anything. */
static double
start_seconds(void)
{
    FILE *file = fopen("/proc/self/stat", "re");
    char line[1024] = "";
    const char *rest = NULL;
    long long ticks = 0;

    if (file != NULL && fgets(line, sizeof line, file) != NULL)
        rest = strrchr(line, ')');
    if (file != NULL)
        fclose(file);
    for (int i = 0; rest != NULL && i < 20; i++)
        rest = strchr(rest + 1, ' ');
    if (rest != NULL)
        ticks = strtoll(rest, NULL, 10);
    return boot_seconds() + (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

void
leat_metrics_add_process(struct leat_buf *out)
{
    leat_metrics_add(out, "process_resident_memory_bytes", resident_bytes());
    leat_metrics_add(out, "process_cpu_seconds_total", cpu_seconds());
    leat_metrics_add(out, "process_start_time_seconds", start_seconds());
    leat_metrics_add(out, "process_open_fds", open_files());
    leat_metrics_add(out, "process_max_fds", most_files());
}
