/*
 * What no single property can know: names that must be there, be unlike or stand alone, and what this leat cannot do yet,
 * which is refused by name. A check is left out when a value that it needs is not there: that was told already.
 */
#include <ctype.h>

#include "base/database_url.h"
#include "base/glob.h"
#include "base/memory.h"
#include "base/units.h"
#include "config/inside.h"
#include "config/mask.h"

struct checking {
    const struct leat_node *root;
    struct leat_config *config;
    struct leat_problems *problems;
};

/* Where a value was written, or its map, or the top. */
static struct leat_place
place_of(const struct leat_node *map, const char *path)
{
    const struct leat_node *node = leat_node_at(map, path);

    return node != NULL ? node->place : map->place;
}

static bool
is_good(const struct leat_node *map, const char *path)
{
    const struct leat_node *node = leat_node_at(map, path);

    return node == NULL || !node->is_bad;
}

/* ---- url and url_file ---------------------------------------------------------------------- */

static void
unlink_child(struct leat_node *map, struct leat_node *child)
{
    struct leat_node **link = &map->first, *before = NULL;

    while (*link != child) {
        before = *link;
        link = &(*link)->next;
    }
    *link = child->next;
    if (map->last == child)
        map->last = before;
}

static void
settle_urls(struct leat_node *map, const char *path, struct leat_problems *problems)
{
    struct leat_node *url = leat_node_get(map, "url"), *file = leat_node_get(map, "url_file");

    if (url == NULL || file == NULL || *url->text == '\0' || *file->text == '\0')
        return;
    if (url->place.layer == file->place.layer)
        leat_problem_add(problems, file->place, "%.200s: url and url_file exclude each other",
                         path);
    else
        unlink_child(map, url->place.layer < file->place.layer ? url : file);
}

void
leat_config_settle(struct leat_node *root, struct leat_problems *problems)
{
    const struct leat_node *processors = leat_node_get(root, "processors");

    settle_urls(leat_node_get(root, "database"), "database", problems);
    for (struct leat_node *item = leat_node_item(processors, 0); item != NULL; item = item->next)
        settle_urls(leat_node_get(item, "target"), "target", problems);
}

/* ---- names --------------------------------------------------------------------------------- */

static const struct leat_node *
item_of(const struct checking *checking, const char *list, size_t index)
{
    return leat_node_item(leat_node_get(checking->root, list), index);
}

/* Kinesis' own rule. */
static bool
is_stream_name(const char *name, bool may_be_pattern)
{
    size_t size = strlen(name);

    if (strncmp(name, "arn:", 4) == 0)
        return strstr(name, ":stream/") != NULL && (may_be_pattern || !leat_is_glob(name));
    for (size_t i = 0; i < size; i++) {
        if (!isalnum((unsigned char)name[i]) &&
            strchr(may_be_pattern ? "_.-*?" : "_.-", name[i]) == NULL)
            return false;
    }
    return size <= 128;
}

/* An ARN and a name are the same stream. */
static const char *
bare_name(const char *name)
{
    const char *behind = strncmp(name, "arn:", 4) == 0 ? strstr(name, ":stream/") : NULL;

    return behind != NULL ? behind + strlen(":stream/") : name;
}

/* A file knows no times, so it has no latest either. */
static bool
is_for_files(struct leat_start start)
{
    return start.kind == LEAT_START_TRIM_HORIZON || start.kind == LEAT_START_UNSET;
}

static void
check_stream(struct checking *checking, size_t index)
{
    const struct leat_config_stream *stream = &checking->config->streams[index];
    const struct leat_node *node = item_of(checking, "streams", index);
    struct leat_place place = place_of(node, "name");

    if (stream->follow && stream->file == NULL)
        leat_problem_add(checking->problems, place_of(node, "follow"),
                         "streams.%.100s.follow is for a file alone", stream->name);
    if (stream->file != NULL && is_good(node, "start") && !is_for_files(stream->start))
        leat_problem_add(checking->problems, place_of(node, "start"),
                         "streams.%.100s.start: a file knows no times: trim_horizon alone",
                         stream->name);
    if (stream->file == NULL && !is_stream_name(stream->name, true))
        leat_problem_add(checking->problems, place,
                         "stream \"%.100s\" is no name of a Kinesis stream: at most 128 letters, "
                         "digits, and _.-, or a pattern with * and ?",
                         stream->name);
    for (size_t i = 0; i < index; i++) {
        const struct leat_config_stream *other = &checking->config->streams[i];

        if (other->name == NULL || strcmp(bare_name(other->name), bare_name(stream->name)) != 0)
            continue;
        leat_problem_add(checking->problems, place,
                         "stream \"%.100s\" is there twice: first in line %d", stream->name,
                         other->line);
        break;
    }
}

/* ---- processors ---------------------------------------------------------------------------- */

/* Whether a processor's entry can ever match a stream that an entry of `streams` brings. Two patterns: only streams tell. */
static bool
may_mean_the_same(const char *wanted, const char *brought)
{
    const char *name = bare_name(wanted), *other = bare_name(brought);

    return strcmp(name, other) == 0 || (leat_is_glob(name) && leat_is_glob(other)) ||
           leat_glob_matches(name, other) || leat_glob_matches(other, name);
}

static void
check_processor_streams(struct checking *checking, size_t index)
{
    const struct leat_config *config = checking->config;
    const struct leat_config_processor *processor = &config->processors[index];
    const struct leat_node *list = leat_node_get(item_of(checking, "processors", index), "streams");
    LEAT_AUTO_FREE const char **names = leat_alloc_zero(config->stream_count + 1, sizeof *names);
    size_t count = 0;

    for (size_t i = 0; i < config->stream_count; i++) {
        if (config->streams[i].name != NULL)
            names[count++] = config->streams[i].name;
    }
    for (size_t i = 0; i < processor->stream_count; i++) {
        const struct leat_node *item = leat_node_item(list, i);
        bool is_there = false;

        for (size_t n = 0; n < count && !is_there; n++)
            is_there = may_mean_the_same(processor->streams[i], names[n]);
        if (!is_there)
            leat_problem_unknown(checking->problems, item != NULL ? item->place : list->place,
                                 "stream", processor->streams[i], "streams", names);
        for (size_t n = 0; is_there && n < i; n++) {
            if (strcmp(processor->streams[n], processor->streams[i]) == 0)
                leat_problem_add(checking->problems, item->place,
                                 "stream \"%.100s\" is there twice", processor->streams[i]);
        }
    }
}

static bool
reads_stream(const struct leat_config_processor *processor, const char *name)
{
    for (size_t i = 0; i < processor->stream_count; i++) {
        if (leat_glob_matches(processor->streams[i], name))
            return true;
    }
    return processor->stream_count == 0;
}

static void
check_processor_start(struct checking *checking, size_t index)
{
    const struct leat_config *config = checking->config;
    const struct leat_config_processor *processor = &config->processors[index];
    const struct leat_node *node = item_of(checking, "processors", index);

    if (!is_good(node, "start") || is_for_files(processor->start))
        return;
    for (size_t i = 0; i < config->stream_count; i++) {
        const struct leat_config_stream *stream = &config->streams[i];

        if (stream->name == NULL || stream->file == NULL || !reads_stream(processor, stream->name))
            continue;
        leat_problem_add(checking->problems, place_of(node, "start"),
                         "processors.%.100s.start: it reads \"%.100s\", a file, which knows no "
                         "times: trim_horizon alone",
                         processor->name != NULL ? processor->name : "?", stream->name);
        return;
    }
}

static bool
is_processor_name(const char *name)
{
    for (; *name != '\0'; name++) {
        if (!isalnum((unsigned char)*name) && strchr("_.-", *name) == NULL)
            return false;
    }
    return true;
}

static void
check_hash(struct checking *checking, const struct leat_node *map, const char *path,
           const char *sha256)
{
    if (sha256 != NULL && strspn(sha256, "0123456789abcdefABCDEF") != strlen(sha256))
        leat_problem_add(checking->problems, place_of(map, path), "%s is no SHA-256: 64 hex digits",
                         path);
}

static void
check_processor(struct checking *checking, size_t index)
{
    const struct leat_config_processor *processor = &checking->config->processors[index];
    const struct leat_node *node = item_of(checking, "processors", index);
    const char *name = processor->name;

    check_processor_streams(checking, index);
    check_processor_start(checking, index);
    check_hash(checking, node, "sha256", processor->sha256);
    check_hash(checking, node, "target.sha256", processor->target.sha256);
    if (processor->lanes > 1)
        leat_problem_add(checking->problems, place_of(node, "lanes"),
                         "processors.%.100s.lanes: %d lanes are not there yet: this leat knows 1",
                         name != NULL ? name : "?", (int)processor->lanes);
    if (name == NULL)
        return;
    if (!is_processor_name(name))
        leat_problem_add(checking->problems, place_of(node, "name"),
                         "processor \"%.100s\" is no name: letters, digits, and _.-", name);
    for (size_t i = 0; i < index; i++) {
        const struct leat_config_processor *other = &checking->config->processors[i];

        if (other->name == NULL || strcmp(other->name, name) != 0)
            continue;
        leat_problem_add(checking->problems, place_of(node, "name"),
                         "processor \"%.100s\" is there twice: first in line %d", name,
                         other->line);
        break;
    }
}

/* What libpq would read otherwise than its author thought is said here, without a piece of it, before a part of the password is
   taken for a port or a host. Other targets than databases have URLs of their own kinds. */
static void
check_database_urls(struct checking *checking)
{
    const struct leat_config *config = checking->config;
    struct leat_error err;

    if (config->database_url != NULL &&
        (leat_url_is_database(config->database_url) ||
         leat_url_has_password(config->database_url)) &&
        leat_database_url_check(config->database_url, &err) != 0)
        leat_problem_add(checking->problems, place_of(checking->root, "database.url"),
                         "database.url %s", err.text);
    for (size_t i = 0; i < config->processor_count; i++) {
        const char *url = config->processors[i].target.url, *name = config->processors[i].name;

        if (url != NULL && leat_url_is_database(url) && leat_database_url_check(url, &err) != 0)
            leat_problem_add(
                checking->problems, place_of(item_of(checking, "processors", i), "target.url"),
                "processors.%.100s.target.url %s", name != NULL ? name : "?", err.text);
    }
}

/* ---- the rest ------------------------------------------------------------------------------ */

static void
check_leases(struct checking *checking)
{
    const struct leat_config *config = checking->config;
    LEAT_AUTO_BUF least = LEAT_BUF_INIT;

    if (is_good(checking->root, "leases.weight") && config->lease_weight <= 0)
        leat_problem_add(checking->problems, place_of(checking->root, "leases.weight"),
                         "leases.weight: it has to be above 0");
    if (!is_good(checking->root, "leases") || !is_good(checking->root, "leases.heartbeat") ||
        !is_good(checking->root, "leases.expiry") ||
        config->lease_expiry_us >= 3 * config->lease_heartbeat_us)
        return;
    leat_format_duration(&least, 3 * config->lease_heartbeat_us);
    leat_problem_add(checking->problems,
                     place_of(checking->root, leat_node_at(checking->root, "leases.expiry") != NULL
                                                  ? "leases.expiry"
                                                  : "leases.heartbeat"),
                     "leases.expiry: it has to be at least three heartbeats, %s",
                     leat_buf_text(&least));
}

/* As the archive takes it: names of letters begin so in any case. */
static bool
has_known_places(const char *url)
{
    const char *brace = strpbrk(url, "{}");

    return brace == NULL || strcmp(brace, "{application}/{stream}/") == 0 ||
           strcmp(brace, "{application}/{stream}") == 0;
}

static void
check_archive(struct checking *checking)
{
    const char *url = checking->config->archive_url;
    struct leat_place place = place_of(checking->root, "archive.url");

    if (url == NULL)
        return;
    if (strncmp(url, "file://", 7) != 0 && strncmp(url, "s3://", 5) != 0)
        leat_problem_add(checking->problems, place,
                         "archive.url \"%.200s\" is neither s3://bucket/prefix nor file:///folder",
                         url);
    else if (url[0] == 'f' && url[7] != '/')
        leat_problem_add(checking->problems, place,
                         "archive.url \"%.200s\" is no absolute path: write file:///folder", url);
    else if (url[0] == 's' && (url[5] == '\0' || url[5] == '/'))
        leat_problem_add(checking->problems, place, "archive.url \"%.200s\" names no bucket", url);
    else if (!has_known_places(url))
        leat_problem_add(checking->problems, place,
                         "archive.url \"%.200s\": of names in braces it may only end with "
                         "{application}/{stream}/",
                         url);
}

static void
check_dead_letters(struct checking *checking)
{
    const struct leat_config *config = checking->config;
    struct leat_place place = place_of(checking->root, "dead_letters.stream");

    if (config->dead_letter_stream == NULL)
        return;
    if (!is_stream_name(config->dead_letter_stream, false))
        leat_problem_add(checking->problems, place,
                         "dead_letters.stream: \"%.100s\" is no name of a Kinesis stream",
                         config->dead_letter_stream);
    for (size_t i = 0; i < config->stream_count; i++) {
        const struct leat_config_stream *stream = &config->streams[i];

        if (stream->name != NULL && stream->file == NULL &&
            strcmp(bare_name(stream->name), bare_name(config->dead_letter_stream)) == 0)
            leat_problem_add(checking->problems, place,
                             "dead_letters.stream: \"%.100s\" is read in line %d: dead letters "
                             "would come back as records",
                             config->dead_letter_stream, stream->line);
    }
}

static bool
is_listen_address(const char *text)
{
    const char *colon = strrchr(text, ':');
    struct leat_error err;
    int64_t port;

    if (*text == '\0' || strcmp(text, "off") == 0)
        return true;
    return colon != NULL && colon != text &&
           leat_parse_integer(leat_slice_from(colon + 1), &port, &err) == 0 && port >= 0 &&
           port <= 65535 &&
           (text[0] == '[' ? colon[-1] == ']' : memchr(text, ':', (size_t)(colon - text)) == NULL);
}

static void
check_url(struct checking *checking, const char *path, const char *url)
{
    if (url != NULL && *url != '\0' && strncmp(url, "http://", 7) != 0 &&
        strncmp(url, "https://", 8) != 0)
        leat_problem_add(checking->problems, place_of(checking->root, path),
                         "%s: \"%.200s\" is neither http://… nor https://…", path, url);
}

void
leat_config_check(struct leat_node *root, struct leat_config *config,
                  struct leat_problems *problems)
{
    struct checking checking = {root, config, problems};

    if (config->database_url == NULL && config->database_url_file == NULL &&
        is_good(root, "database") && is_good(root, "database.url") &&
        is_good(root, "database.url_file"))
        leat_problem_add(problems, place_of(root, "database"),
                         "database is missing: a URL, or url_file");
    for (size_t i = 0; i < config->stream_count; i++) {
        if (config->streams[i].name != NULL)
            check_stream(&checking, i);
    }
    for (size_t i = 0; i < config->processor_count; i++)
        check_processor(&checking, i);
    check_database_urls(&checking);
    check_leases(&checking);
    check_archive(&checking);
    check_dead_letters(&checking);
    check_url(&checking, "aws.endpoints.kinesis", config->aws_endpoint_kinesis);
    check_url(&checking, "aws.endpoints.s3", config->aws_endpoint_s3);
    check_url(&checking, "aws.endpoints.sts", config->aws_endpoint_sts);
    if (config->http_listen != NULL && !is_listen_address(config->http_listen))
        leat_problem_add(problems, place_of(root, "http.listen"),
                         "http.listen: \"%.100s\" is no host:port, and not off",
                         config->http_listen);
}
