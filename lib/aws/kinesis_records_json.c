/*
 * GetRecords answers in JSON: one pass over the bytes, strings unescaped and Data base64-decoded in place, so that the slices
 * point into the answer as with CBOR. Strict enough to refuse what is cut or is no JSON; bounded in depth.
 */
#include <math.h>
#include <stdlib.h>

#include "aws/kinesis_internal.h"
#include "base/encoding.h"
#include "base/memory.h"

#define MAXIMUM_DEPTH 16

struct scanner {
    unsigned char *next, *end;
};

static void
skip_blanks(struct scanner *scanner)
{
    while (scanner->next < scanner->end && (*scanner->next == ' ' || *scanner->next == '\t' ||
                                            *scanner->next == '\n' || *scanner->next == '\r'))
        scanner->next++;
}

/* Passes over `c` if it is next. */
static bool
accept(struct scanner *scanner, unsigned char c)
{
    skip_blanks(scanner);
    if (scanner->next >= scanner->end || *scanner->next != c)
        return false;
    scanner->next++;
    return true;
}

static bool
is_next(struct scanner *scanner, unsigned char c)
{
    skip_blanks(scanner);
    return scanner->next < scanner->end && *scanner->next == c;
}

static bool
accept_word(struct scanner *scanner, const char *word)
{
    size_t size = strlen(word);

    skip_blanks(scanner);
    if ((size_t)(scanner->end - scanner->next) < size || memcmp(scanner->next, word, size) != 0)
        return false;
    scanner->next += size;
    return true;
}

static bool
read_hex4(struct scanner *scanner, unsigned *ret_unit)
{
    unsigned unit = 0;

    if (scanner->end - scanner->next < 4)
        return false;
    for (int i = 0; i < 4; i++) {
        unsigned char c = *scanner->next++;
        unsigned digit = c >= '0' && c <= '9'                 ? (unsigned)(c - '0')
                         : (c | 32) >= 'a' && (c | 32) <= 'f' ? (unsigned)((c | 32) - 'a' + 10)
                                                              : 16;

        if (digit == 16)
            return false;
        unit = unit << 4 | digit;
    }
    *ret_unit = unit;
    return true;
}

/* Behind "\u": writes the character at *to, which never overtakes the reader (6 bytes give at most 3, 12 give 4). */
static bool
unescape_unicode(struct scanner *scanner, unsigned char **to)
{
    unsigned point, low;

    if (!read_hex4(scanner, &point))
        return false;
    if (point >= 0xd800 && point < 0xdc00 && scanner->end - scanner->next >= 6 &&
        scanner->next[0] == '\\' && scanner->next[1] == 'u') {
        scanner->next += 2;
        if (!read_hex4(scanner, &low) || low < 0xdc00 || low >= 0xe000)
            return false;
        point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
    }
    if (point >= 0xd800 && point < 0xe000)
        return false;
    if (point < 0x80) {
        *(*to)++ = (unsigned char)point;
    } else if (point < 0x800) {
        *(*to)++ = (unsigned char)(0xc0 | point >> 6);
        *(*to)++ = (unsigned char)(0x80 | (point & 63));
    } else if (point < 0x10000) {
        *(*to)++ = (unsigned char)(0xe0 | point >> 12);
        *(*to)++ = (unsigned char)(0x80 | (point >> 6 & 63));
        *(*to)++ = (unsigned char)(0x80 | (point & 63));
    } else {
        *(*to)++ = (unsigned char)(0xf0 | point >> 18);
        *(*to)++ = (unsigned char)(0x80 | (point >> 12 & 63));
        *(*to)++ = (unsigned char)(0x80 | (point >> 6 & 63));
        *(*to)++ = (unsigned char)(0x80 | (point & 63));
    }
    return true;
}

/* From the first backslash of a string on. */
static bool
unescape_rest(struct scanner *scanner, unsigned char *begin, struct leat_slice *ret_text)
{
    static const char plain[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    unsigned char *to = scanner->next;

    while (scanner->next < scanner->end) {
        unsigned char c = *scanner->next++;
        const char *found;

        if (c == '"') {
            *ret_text = leat_slice_make(begin, (size_t)(to - begin));
            return true;
        }
        if (c < ' ')
            return false;
        if (c != '\\') {
            *to++ = c;
            continue;
        }
        if (scanner->next >= scanner->end)
            return false;
        c = *scanner->next++;
        if (c == 'u') {
            if (!unescape_unicode(scanner, &to))
                return false;
            continue;
        }
        found = c != '\0' ? strchr(plain, c) : NULL;
        if (found == NULL)
            return false;
        *to++ = (unsigned char)values[found - plain];
    }
    return false;
}

static bool
read_string(struct scanner *scanner, struct leat_slice *ret_text)
{
    unsigned char *begin, *quote, *escape;

    if (!accept(scanner, '"'))
        return false;
    begin = scanner->next;
    quote = memchr(begin, '"', (size_t)(scanner->end - begin));
    if (quote == NULL)
        return false;
    escape = memchr(begin, '\\', (size_t)(quote - begin));
    if (escape == NULL) {
        scanner->next = quote + 1;
        *ret_text = leat_slice_make(begin, (size_t)(quote - begin));
        return true;
    }
    scanner->next = escape;
    return unescape_rest(scanner, begin, ret_text);
}

static bool
read_text_or_null(struct scanner *scanner, struct leat_slice *ret_text)
{
    return accept_word(scanner, "null") || read_string(scanner, ret_text);
}

static bool
read_number(struct scanner *scanner, double *ret_number)
{
    char text[48];
    size_t size = 0;
    char *end;

    skip_blanks(scanner);
    while (scanner->next < scanner->end && size < sizeof text - 1 &&
           strchr("+-.eE0123456789", *scanner->next) != NULL && *scanner->next != '\0')
        text[size++] = (char)*scanner->next++;
    text[size] = '\0';
    *ret_number = strtod(text, &end);
    return size > 0 && *end == '\0' && isfinite(*ret_number);
}

static bool
skip_value(struct scanner *scanner, unsigned depth)
{
    struct leat_slice text;
    double number;
    bool is_map = is_next(scanner, '{');

    if (depth > MAXIMUM_DEPTH)
        return false;
    if (!is_map && !is_next(scanner, '[')) {
        if (is_next(scanner, '"'))
            return read_string(scanner, &text);
        return accept_word(scanner, "null") || accept_word(scanner, "true") ||
               accept_word(scanner, "false") || read_number(scanner, &number);
    }
    scanner->next++;
    if (accept(scanner, is_map ? '}' : ']'))
        return true;
    do {
        if (is_map && (!read_string(scanner, &text) || !accept(scanner, ':')))
            return false;
        if (!skip_value(scanner, depth + 1))
            return false;
    } while (accept(scanner, ','));
    return accept(scanner, is_map ? '}' : ']');
}

/* Members of an object, elements of an array: read(context) reads one value, key is its name. */
typedef bool (*member_fn)(struct scanner *scanner, struct leat_slice key, void *context);
typedef bool (*element_fn)(struct scanner *scanner, void *context);

static bool
read_object(struct scanner *scanner, member_fn member, void *context)
{
    if (!accept(scanner, '{'))
        return false;
    if (accept(scanner, '}'))
        return true;
    do {
        struct leat_slice key;

        if (!read_string(scanner, &key) || !accept(scanner, ':') || !member(scanner, key, context))
            return false;
    } while (accept(scanner, ','));
    return accept(scanner, '}');
}

static bool
read_array_or_null(struct scanner *scanner, element_fn element, void *context)
{
    if (accept_word(scanner, "null"))
        return true;
    if (!accept(scanner, '['))
        return false;
    if (accept(scanner, ']'))
        return true;
    do {
        if (!element(scanner, context))
            return false;
    } while (accept(scanner, ','));
    return accept(scanner, ']');
}

static bool
read_time(struct scanner *scanner, int64_t *ret_us)
{
    double seconds;

    if (accept_word(scanner, "null"))
        return true;
    if (!read_number(scanner, &seconds) || fabs(seconds) > 9e12)
        return false;
    *ret_us = seconds > 1e11 ? (int64_t)(seconds * 1e3) : (int64_t)llround(seconds * 1e6);
    return true;
}

static bool
read_data(struct scanner *scanner, struct leat_slice *ret_data)
{
    struct leat_slice text;
    size_t size;

    if (!read_string(scanner, &text))
        return false;
    size = leat_base64_decode_to((unsigned char *)text.data, text);
    if (size == SIZE_MAX)
        return false;
    *ret_data = leat_slice_make(text.data, size);
    return true;
}

struct record_context {
    struct leat_kinesis_record *record;
    bool has_data;
};

static bool
record_member(struct scanner *scanner, struct leat_slice key, void *context)
{
    struct record_context *its = context;

    if (leat_slice_is(key, "Data"))
        return its->has_data = read_data(scanner, &its->record->data);
    if (leat_slice_is(key, "PartitionKey"))
        return read_text_or_null(scanner, &its->record->partition_key);
    if (leat_slice_is(key, "SequenceNumber"))
        return read_text_or_null(scanner, &its->record->sequence);
    if (leat_slice_is(key, "ApproximateArrivalTimestamp"))
        return read_time(scanner, &its->record->arrival_us);
    return skip_value(scanner, 0);
}

static bool
record_element(struct scanner *scanner, void *context)
{
    struct record_context its = {.record = leat_kinesis_records_add(context)};

    return its.record != NULL && read_object(scanner, record_member, &its) && its.has_data;
}

static bool
parent_element(struct scanner *scanner, void *context)
{
    struct leat_kinesis_child *child = context;
    struct leat_slice parent;

    if (!read_string(scanner, &parent))
        return false;
    if (child->parent_count < LEAT_COUNT_OF(child->parents))
        child->parents[child->parent_count++] = parent;
    return true;
}

static bool
hash_member(struct scanner *scanner, struct leat_slice key, void *context)
{
    struct leat_kinesis_child *child = context;

    if (leat_slice_is(key, "StartingHashKey"))
        return read_text_or_null(scanner, &child->starting_hash_key);
    if (leat_slice_is(key, "EndingHashKey"))
        return read_text_or_null(scanner, &child->ending_hash_key);
    return skip_value(scanner, 0);
}

static bool
child_member(struct scanner *scanner, struct leat_slice key, void *context)
{
    struct leat_kinesis_child *child = context;

    if (leat_slice_is(key, "ShardId"))
        return read_text_or_null(scanner, &child->shard);
    if (leat_slice_is(key, "ParentShards"))
        return read_array_or_null(scanner, parent_element, child);
    if (leat_slice_is(key, "HashKeyRange"))
        return accept_word(scanner, "null") || read_object(scanner, hash_member, child);
    return skip_value(scanner, 0);
}

static bool
child_element(struct scanner *scanner, void *context)
{
    struct leat_kinesis_records *records = context;
    struct leat_kinesis_child *child = &records->children[records->child_count];

    if (records->child_count == LEAT_KINESIS_CHILDREN)
        return false;
    *child = (struct leat_kinesis_child){.shard = leat_slice_from(""),
                                         .starting_hash_key = leat_slice_from(""),
                                         .ending_hash_key = leat_slice_from("")};
    records->child_count++;
    return read_object(scanner, child_member, child) && child->shard.size > 0;
}

struct answer_context {
    struct leat_kinesis_records *records;
    bool has_records;
};

static bool
answer_member(struct scanner *scanner, struct leat_slice key, void *context)
{
    struct answer_context *answer = context;
    double number;

    if (leat_slice_is(key, "Records")) {
        if (answer->has_records)
            return false;
        answer->has_records = true;
        return read_array_or_null(scanner, record_element, answer->records);
    }
    if (leat_slice_is(key, "NextShardIterator"))
        return read_text_or_null(scanner, &answer->records->next_iterator);
    if (leat_slice_is(key, "ChildShards"))
        return read_array_or_null(scanner, child_element, answer->records);
    if (leat_slice_is(key, "MillisBehindLatest") && !is_next(scanner, 'n')) {
        if (!read_number(scanner, &number))
            return false;
        if (number >= 0 && number < 9e15)
            answer->records->behind_ms = (int64_t)number;
        return true;
    }
    return skip_value(scanner, 0);
}

int
leat_kinesis_records_parse_json(unsigned char *bytes, size_t size,
                                struct leat_kinesis_records *records, struct leat_error *err)
{
    struct scanner scanner = {bytes, bytes + size};
    struct answer_context answer = {records, false};
    bool is_good = size > 0 && read_object(&scanner, answer_member, &answer);

    if (is_good)
        skip_blanks(&scanner);
    if (!is_good || scanner.next != scanner.end || !answer.has_records) {
        records->count = records->child_count = 0;
        return leat_error_set(err, LEAT_E_FORMAT,
                              "a GetRecords answer of %zu bytes is no well-formed JSON", size);
    }
    records->is_end = records->next_iterator.size == 0;
    return 0;
}
