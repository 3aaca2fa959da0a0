/*
 * The scanner. It is the hot path: an event is read once, from front to back, and nothing of it is copied. Members come in
 * the same order in nearly all events of a stream, so the name after the one that was found last is tried first.
 */
#include "scan.h"

struct scanner {
    const unsigned char *next, *end;
    const char *problem;
};

static bool
refuse(struct scanner *scanner, const char *problem)
{
    scanner->problem = problem;
    return false;
}

static void
skip_space(struct scanner *scanner)
{
    while (scanner->next < scanner->end && (*scanner->next == ' ' || *scanner->next == '\n' ||
                                            *scanner->next == '\r' || *scanner->next == '\t'))
        scanner->next++;
}

static bool
take_byte(struct scanner *scanner, unsigned char byte)
{
    if (scanner->next == scanner->end || *scanner->next != byte)
        return false;
    scanner->next++;
    return true;
}

static bool
is_hex(unsigned char letter)
{
    return (letter >= '0' && letter <= '9') || (letter >= 'a' && letter <= 'f') ||
           (letter >= 'A' && letter <= 'F');
}

/* Behind the backslash. */
static bool
scan_escape(struct scanner *scanner)
{
    if (scanner->next == scanner->end)
        return refuse(scanner, "it ends inside a text");
    if (memchr("\"\\/bfnrt", *scanner->next, 8) != NULL) {
        scanner->next++;
        return true;
    }
    if (*scanner->next != 'u')
        return refuse(scanner, "there is no such escape");
    if (scanner->end - scanner->next < 5)
        return refuse(scanner, "it ends inside a text");
    for (int i = 1; i <= 4; i++) {
        if (!is_hex(scanner->next[i]))
            return refuse(scanner, "there is no such escape");
    }
    scanner->next += 5;
    return true;
}

/* Behind the opening quote. */
static bool
scan_text(struct scanner *scanner, struct leat_rollup_value *value)
{
    const unsigned char *begin = scanner->next;

    value->kind = LEAT_ROLLUP_TEXT;
    value->has_escapes = false;
    while (scanner->next < scanner->end) {
        unsigned char letter = *scanner->next++;

        if (letter == '"') {
            value->raw = leat_slice_make(begin, (size_t)(scanner->next - 1 - begin));
            return true;
        }
        if (letter < 0x20)
            return refuse(scanner, "a control character stands inside a text");
        if (letter == '\\') {
            value->has_escapes = true;
            if (!scan_escape(scanner))
                return false;
        }
    }
    return refuse(scanner, "it ends inside a text");
}

static size_t
take_digits(struct scanner *scanner)
{
    const unsigned char *begin = scanner->next;

    while (scanner->next < scanner->end && *scanner->next >= '0' && *scanner->next <= '9')
        scanner->next++;
    return (size_t)(scanner->next - begin);
}

static bool
scan_number(struct scanner *scanner, struct leat_rollup_value *value)
{
    const unsigned char *begin = scanner->next;

    take_byte(scanner, '-');
    if (!take_byte(scanner, '0') && take_digits(scanner) == 0)
        return refuse(scanner, "no value stands here");
    if (take_byte(scanner, '.') && take_digits(scanner) == 0)
        return refuse(scanner, "a number has no digit behind its point");
    if (take_byte(scanner, 'e') || take_byte(scanner, 'E')) {
        if (!take_byte(scanner, '+'))
            take_byte(scanner, '-');
        if (take_digits(scanner) == 0)
            return refuse(scanner, "a number has no digit in its exponent");
    }
    value->kind = LEAT_ROLLUP_NUMBER;
    value->raw = leat_slice_make(begin, (size_t)(scanner->next - begin));
    return true;
}

static bool
scan_word(struct scanner *scanner, const char *word, enum leat_rollup_kind kind,
          struct leat_rollup_value *value)
{
    size_t size = strlen(word);

    if ((size_t)(scanner->end - scanner->next) < size || memcmp(scanner->next, word, size) != 0)
        return refuse(scanner, "no value stands here");
    value->kind = kind;
    value->raw = leat_slice_make(scanner->next, size);
    scanner->next += size;
    return true;
}

static bool scan_value(struct scanner *scanner, int depth, struct leat_rollup_value *value);

/* Behind the opening bracket of what nobody wants. */
static bool
skip_group(struct scanner *scanner, int depth, unsigned char closing)
{
    struct leat_rollup_value ignored;

    if (depth > LEAT_ROLLUP_DEPTH)
        return refuse(scanner, "it is nested too deeply");
    skip_space(scanner);
    if (take_byte(scanner, closing))
        return true;
    for (;;) {
        if (closing == '}') {
            skip_space(scanner);
            if (!take_byte(scanner, '"'))
                return refuse(scanner, "no member's name stands here");
            if (!scan_text(scanner, &ignored))
                return false;
            skip_space(scanner);
            if (!take_byte(scanner, ':'))
                return refuse(scanner, "no colon stands here");
        }
        if (!scan_value(scanner, depth, &ignored))
            return false;
        skip_space(scanner);
        if (take_byte(scanner, closing))
            return true;
        if (!take_byte(scanner, ','))
            return refuse(scanner, "neither a comma nor an end stands here");
    }
}

static bool
scan_value(struct scanner *scanner, int depth, struct leat_rollup_value *value)
{
    skip_space(scanner);
    if (scanner->next == scanner->end)
        return refuse(scanner, "it ends before its end");
    switch (*scanner->next) {
    case '"':
        scanner->next++;
        return scan_text(scanner, value);
    case '{':
    case '[':
        value->kind = LEAT_ROLLUP_NESTED;
        value->raw = leat_slice_make(scanner->next, 1);
        return skip_group(scanner, depth + 1, *scanner->next++ == '{' ? '}' : ']');
    case 't':
        return scan_word(scanner, "true", LEAT_ROLLUP_TRUE, value);
    case 'f':
        return scan_word(scanner, "false", LEAT_ROLLUP_FALSE, value);
    case 'n':
        return scan_word(scanner, "null", LEAT_ROLLUP_NULL, value);
    default:
        return scan_number(scanner, value);
    }
}

static unsigned
hex_number(const unsigned char *digits)
{
    unsigned number = 0;

    for (int i = 0; i < 4; i++) {
        int letter = digits[i];

        number = number * 16 +
                 (unsigned)(letter <= '9' ? letter - '0' : (letter | 0x20) - 'a' + 10);
    }
    return number;
}

static size_t
put_utf8(unsigned char *out, unsigned code)
{
    if (code < 0x80) {
        out[0] = (unsigned char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (unsigned char)(0xc0 | code >> 6);
        out[1] = (unsigned char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (unsigned char)(0xe0 | code >> 12);
        out[1] = (unsigned char)(0x80 | (code >> 6 & 0x3f));
        out[2] = (unsigned char)(0x80 | (code & 0x3f));
        return 3;
    }
    out[0] = (unsigned char)(0xf0 | code >> 18);
    out[1] = (unsigned char)(0x80 | (code >> 12 & 0x3f));
    out[2] = (unsigned char)(0x80 | (code >> 6 & 0x3f));
    out[3] = (unsigned char)(0x80 | (code & 0x3f));
    return 4;
}

/* \uXXXX, or two of them for what is beyond 16 bits. Returns how much of the raw text it was; 0: half a pair. */
static size_t
unescape_unicode(const unsigned char *from, size_t left, unsigned *ret_code)
{
    unsigned code = hex_number(from + 2), low;

    *ret_code = code;
    if (code < 0xd800 || code > 0xdfff)
        return 6;
    if (code > 0xdbff || left < 12 || from[6] != '\\' || from[7] != 'u')
        return 0;
    low = hex_number(from + 8);
    if (low < 0xdc00 || low > 0xdfff)
        return 0;
    *ret_code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    return 12;
}

const char *
leat_rollup_unescape(struct leat_slice raw, unsigned char *out, size_t *ret_size)
{
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    size_t size = 0, i = 0;

    while (i < raw.size) {
        unsigned code;
        size_t taken;

        if (raw.data[i] != '\\') {
            out[size++] = raw.data[i++];
            continue;
        }
        if (raw.data[i + 1] != 'u') {
            out[size++] = (unsigned char)meanings[strchr(letters, raw.data[i + 1]) - letters];
            i += 2;
            continue;
        }
        taken = unescape_unicode(raw.data + i, raw.size - i, &code);
        if (taken == 0)
            return "half a surrogate pair";
        if (code == 0)
            return "a zero character";
        size += put_utf8(out + size, code);
        i += taken;
    }
    *ret_size = size;
    return NULL;
}

/* The wanted member of this name, or `count`. */
static size_t
find_name(const struct leat_rollup_value *given, const struct leat_slice *names, size_t count,
          size_t guess)
{
    unsigned char plain[LEAT_ROLLUP_NAME_BYTES * 6];
    struct leat_slice name = given->raw;

    if (given->has_escapes) {
        size_t size;

        if (name.size > sizeof plain || leat_rollup_unescape(name, plain, &size) != NULL)
            return count;
        name = leat_slice_make(plain, size);
    }
    for (size_t i = 0; i < count; i++, guess++) {
        if (guess >= count)
            guess = 0;
        if (leat_slice_equals(names[guess], name))
            return guess;
    }
    return count;
}

/* Behind the opening brace of the event itself. */
static bool
scan_members(struct scanner *scanner, const struct leat_slice *names, size_t count,
             struct leat_rollup_value *values)
{
    size_t guess = 0;

    skip_space(scanner);
    if (take_byte(scanner, '}'))
        return true;
    for (;;) {
        struct leat_rollup_value name, ignored;
        size_t found;

        skip_space(scanner);
        if (!take_byte(scanner, '"'))
            return refuse(scanner, "no member's name stands here");
        if (!scan_text(scanner, &name))
            return false;
        found = find_name(&name, names, count, guess);
        guess = found < count ? found + 1 : guess;
        skip_space(scanner);
        if (!take_byte(scanner, ':'))
            return refuse(scanner, "no colon stands here");
        if (!scan_value(scanner, 1, found < count ? &values[found] : &ignored))
            return false;
        skip_space(scanner);
        if (take_byte(scanner, '}'))
            return true;
        if (!take_byte(scanner, ','))
            return refuse(scanner, "neither a comma nor an end stands here");
    }
}

const char *
leat_rollup_scan(struct leat_slice json, const struct leat_slice *names, size_t count,
                 struct leat_rollup_value *values, size_t *ret_offset)
{
    struct scanner scanner = {json.data, json.data + json.size, NULL};

    for (size_t i = 0; i < count; i++)
        values[i] = (struct leat_rollup_value){.kind = LEAT_ROLLUP_MISSING};
    skip_space(&scanner);
    if (scanner.next == scanner.end)
        refuse(&scanner, "it is empty");
    else if (!take_byte(&scanner, '{'))
        refuse(&scanner, "it does not begin with a brace");
    else if (scan_members(&scanner, names, count, values)) {
        skip_space(&scanner);
        if (scanner.next < scanner.end)
            refuse(&scanner, "something stands behind its end");
    }
    *ret_offset = (size_t)(scanner.next - json.data);
    return scanner.problem;
}
