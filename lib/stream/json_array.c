/* A scanner with a bit per open bracket: 64 levels. */
#include "stream/json_array.h"

#include <stdint.h>

#define MAXIMUM_DEPTH 64

static void
skip_space(struct leat_json_array *array)
{
    while (array->position < array->text.size &&
           strchr(" \t\r\n", array->text.data[array->position]) != NULL &&
           array->text.data[array->position] != '\0')
        array->position++;
}

static bool
take(struct leat_json_array *array, unsigned char letter)
{
    skip_space(array);
    if (array->position >= array->text.size || array->text.data[array->position] != letter)
        return false;
    array->position++;
    return true;
}

bool
leat_json_array_may_begin(struct leat_slice beginning)
{
    struct leat_json_array array = {.text = beginning};

    skip_space(&array);
    return array.position == beginning.size || beginning.data[array.position] == '[';
}

bool
leat_json_array_open(struct leat_json_array *array, struct leat_slice text)
{
    *array = (struct leat_json_array){.text = text, .is_first = true};
    return take(array, '[');
}

/* position stands on the opening quote; ends behind the closing one. */
static bool
skip_string(struct leat_slice text, size_t *position)
{
    for (size_t i = *position + 1; i < text.size; i++) {
        if (text.data[i] == '\\') {
            i++;
        } else if (text.data[i] == '"') {
            *position = i + 1;
            return true;
        } else if (text.data[i] < 0x20) {
            return false;
        }
    }
    return false;
}

/* Objects and arrays: brackets must match; a set bit is an object. */
static bool
skip_nested(struct leat_slice text, size_t *position)
{
    uint64_t is_object = 0;
    int depth = 0;

    for (size_t i = *position; i < text.size;) {
        unsigned char letter = text.data[i];

        if (letter == '"') {
            if (!skip_string(text, &i))
                return false;
            continue;
        }
        i++;
        if (letter == '{' || letter == '[') {
            if (depth++ == MAXIMUM_DEPTH)
                return false;
            is_object = is_object << 1 | (letter == '{');
        } else if (letter == '}' || letter == ']') {
            if ((is_object & 1) != (letter == '}'))
                return false;
            is_object >>= 1;
            if (--depth == 0) {
                *position = i;
                return true;
            }
        }
    }
    return false;
}

static bool
skip_scalar(struct leat_slice text, size_t *position)
{
    size_t i = *position;

    while (i < text.size && (text.data[i] == '+' || text.data[i] == '-' || text.data[i] == '.' ||
                             (text.data[i] >= '0' && text.data[i] <= '9') ||
                             (text.data[i] >= 'a' && text.data[i] <= 'z') || text.data[i] == 'E'))
        i++;
    if (i == *position)
        return false;
    *position = i;
    return true;
}

static bool
skip_value(struct leat_slice text, size_t *position)
{
    if (*position >= text.size)
        return false;
    if (text.data[*position] == '"')
        return skip_string(text, position);
    if (text.data[*position] == '{' || text.data[*position] == '[')
        return skip_nested(text, position);
    return skip_scalar(text, position);
}

enum leat_json_array_outcome
leat_json_array_next(struct leat_json_array *array, struct leat_slice *ret_element)
{
    bool was_first = array->is_first;
    size_t start, end;

    array->is_first = false;
    if (take(array, ']')) {
        skip_space(array);
        return array->position == array->text.size ? LEAT_JSON_ARRAY_END : LEAT_JSON_ARRAY_BAD;
    }
    start = array->position;
    if (!was_first && !take(array, ','))
        return LEAT_JSON_ARRAY_BAD;
    skip_space(array);
    end = array->position;
    if (!skip_value(array->text, &end)) {
        array->position = start;
        return LEAT_JSON_ARRAY_BAD;
    }
    *ret_element = leat_slice_make(array->text.data + array->position, end - array->position);
    array->position = end;
    return LEAT_JSON_ARRAY_ELEMENT;
}
