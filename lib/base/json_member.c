/* A walk over one level of a text that is known to be JSON: strings and nested values are skipped, not looked into. */
#include "base/json_member.h"

#include <json-c/json.h>
#include <string.h>

#include "base/json.h"

struct walk {
    const unsigned char *at, *end;
};

static void
skip_blanks(struct walk *walk)
{
    while (walk->at < walk->end && strchr(" \t\r\n", *walk->at) != NULL && *walk->at != '\0')
        walk->at++;
}

/* From its first quote to behind its last one. */
static void
skip_string(struct walk *walk)
{
    walk->at++;
    while (walk->at < walk->end && *walk->at != '"')
        walk->at += *walk->at == '\\' && walk->end - walk->at > 1 ? 2 : 1;
    if (walk->at < walk->end)
        walk->at++;
}

/* To the comma or bracket behind the value. */
static void
skip_value(struct walk *walk)
{
    size_t depth = 0;

    while (walk->at < walk->end) {
        unsigned char byte = *walk->at;

        if (byte == '"') {
            skip_string(walk);
            continue;
        }
        if (byte == '{' || byte == '[')
            depth++;
        else if (depth == 0 && (byte == ',' || byte == '}'))
            return;
        else if (byte == '}' || byte == ']')
            depth -= depth > 0;
        walk->at++;
    }
}

static struct leat_slice
piece(const unsigned char *begin, const unsigned char *end)
{
    while (end > begin && end[-1] != '\0' && strchr(" \t\r\n", end[-1]) != NULL)
        end--;
    return leat_slice_make(begin, (size_t)(end - begin));
}

/* With its quotes. One without a backslash is what it says. */
static bool
is_key(struct leat_slice quoted, const char *key)
{
    struct json_object *root;
    bool is_it;

    if (memchr(quoted.data, '\\', quoted.size) == NULL)
        return quoted.size == strlen(key) + 2 && memcmp(quoted.data + 1, key, strlen(key)) == 0;
    if (leat_json_parse(quoted, &root, NULL) != 0)
        return false;
    is_it = (size_t)json_object_get_string_len(root) == strlen(key) &&
            memcmp(json_object_get_string(root), key, strlen(key)) == 0;
    json_object_put(root);
    return is_it;
}

bool
leat_json_member(struct leat_slice text, const char *key, struct leat_slice *ret_value)
{
    struct walk walk = {text.data, text.data + text.size};
    bool is_found = false;

    skip_blanks(&walk);
    if (walk.at == walk.end || *walk.at != '{')
        return false;
    do {
        struct leat_slice name;
        const unsigned char *begin;

        walk.at++;
        skip_blanks(&walk);
        begin = walk.at;
        if (begin == walk.end || *begin != '"')
            break;
        skip_string(&walk);
        name = piece(begin, walk.at);
        skip_blanks(&walk);
        if (walk.at < walk.end)
            walk.at++; /* the colon */
        skip_blanks(&walk);
        begin = walk.at;
        skip_value(&walk);
        if (is_key(name, key)) {
            *ret_value = piece(begin, walk.at);
            is_found = true;
        }
    } while (walk.at < walk.end && *walk.at == ',');
    return is_found;
}
