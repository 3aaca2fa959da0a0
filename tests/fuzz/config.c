/* Configurations of unknown make: none crashes, and one that is taken is shown as one that is taken, too. */
#include <stdint.h>

#include "base/memory.h"
#include "config/inside.h"
#include "config/mask.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *
variable(void *context, const char *name)
{
    return strcmp(name, "A") == 0 ? "a${B}" : NULL;
}

static void
count(void *context, const char *line)
{
    size_t *told = context;

    LEAT_ASSERT(strchr(line, '\n') == NULL);
    (*told)++;
}

/* Lines before the first that is no assignment are --set and variables: "--set a=b", "LEAT_A=b". */
static size_t
take_overrides(const char **text, struct leat_config_sources *sources,
               struct leat_config_override *overrides, const char **environment)
{
    size_t variables = 0;
    char *line = (char *)(uintptr_t)*text, *end;

    while (sources->override_count < 8 && variables < 8 && (end = strchr(line, '\n')) != NULL) {
        if (strncmp(line, "--set ", 6) == 0)
            overrides[sources->override_count++].assignment = line + 6;
        else if (strncmp(line, "LEAT_", 5) == 0)
            environment[variables++] = line;
        else
            break;
        *end = '\0';
        line = end + 1;
    }
    *text = line;
    return variables;
}

static void
show_again(struct leat_config *config)
{
    LEAT_AUTO_BUF shown = LEAT_BUF_INIT;
    LEAT_AUTO_BUF again = LEAT_BUF_INIT;
    struct leat_config *second = NULL;
    size_t told = 0;

    leat_config_show(config, true, &shown);
    leat_buf_clear(&shown);
    leat_config_show(config, false, &shown);
    /* What was masked may be less than was given, so that it is too short for its property, but no more. */
    if (memmem(shown.data, shown.size, "***", 3) != NULL)
        return;
    LEAT_ASSERT(leat_config_parse("again", leat_buf_slice(&shown), count, &told, &second) == 0);
    leat_config_show(second, false, &again);
    LEAT_ASSERT(leat_slice_equals(leat_buf_slice(&shown), leat_buf_slice(&again)));
    leat_config_free(second);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    LEAT_AUTO_FREE char *copy = leat_slice_strdup(leat_slice_make(data, size));
    struct leat_config_override overrides[8];
    const char *environment[9] = {NULL}, *text = copy;
    struct leat_config_sources sources = {
        .file = "fuzz", .variable = variable, .environment = environment, .overrides = overrides};
    LEAT_AUTO_BUF masked = LEAT_BUF_INIT;
    struct leat_config *config = NULL;
    size_t told = 0;

    take_overrides(&text, &sources, overrides, environment);
    sources.text = leat_slice_make(text, size - (size_t)(text - copy));
    if (leat_config_make(&sources, count, &told, &config) == 0) {
        LEAT_ASSERT(told == 0 && config != NULL);
        show_again(config);
        leat_config_free(config);
    } else {
        LEAT_ASSERT(told > 0 && config == NULL);
    }
    leat_url_mask(text, &masked);
    return 0;
}
