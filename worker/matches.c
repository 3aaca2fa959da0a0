/* One listing for all patterns. */
#include "worker/matches.h"

#include <stdlib.h>

#include "base/memory.h"
#include "stream/spec.h"

struct matching {
    const struct leat_config *config;
    const char **specs;     /* of the streams that are no files, in their order */
    struct leat_buf *names; /* by spec: ", name, name" */
    size_t count;
};

bool
leat_has_patterns(const struct leat_config *config)
{
    for (size_t i = 0; i < config->stream_count; i++) {
        if (config->streams[i].file == NULL && leat_stream_spec_is_pattern(config->streams[i].name))
            return true;
    }
    return false;
}

static int
see(void *context, const struct leat_kinesis_summary *summary)
{
    struct matching *matching = context;
    const char *never = matching->config->dead_letter_stream;
    const char *arn = summary->arn[0] != '\0' ? summary->arn : "arn:";
    size_t spec = leat_stream_spec_first(matching->specs, matching->count, summary->name, arn);

    if (spec == matching->count ||
        (never != NULL && leat_stream_spec_matches(never, summary->name, arn)))
        return 0;
    leat_buf_printf(&matching->names[spec], "%s%s", matching->names[spec].size > 0 ? ", " : "",
                    summary->name);
    return 0;
}

int
leat_matches(struct leat_kinesis *kinesis, const struct leat_config *config, struct leat_buf *out,
             struct leat_error *err)
{
    struct matching matching = {.config = config};
    int status;

    matching.specs = LEAT_NEW_ARRAY(const char *, config->stream_count);
    matching.names = LEAT_NEW_ARRAY(struct leat_buf, config->stream_count);
    for (size_t i = 0; i < config->stream_count; i++) {
        leat_buf_init(&matching.names[i], SIZE_MAX);
        if (config->streams[i].file == NULL)
            matching.specs[matching.count++] = config->streams[i].name;
    }
    status = leat_kinesis_list_summaries(kinesis, see, &matching, err);
    for (size_t i = 0; i < matching.count && status == 0; i++) {
        if (!leat_stream_spec_is_pattern(matching.specs[i]))
            continue;
        leat_buf_printf(out, "stream \"%s\" matches now: ", matching.specs[i]);
        leat_buf_add_text(out, matching.names[i].size > 0 ? leat_buf_text(&matching.names[i])
                                                          : "no stream");
        leat_buf_add_byte(out, '\n');
    }
    for (size_t i = 0; i < config->stream_count; i++)
        leat_buf_release(&matching.names[i]);
    free(matching.specs);
    free(matching.names);
    return status;
}
