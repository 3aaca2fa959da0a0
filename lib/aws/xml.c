/* The small XML scanner: a stack of names, one buffer of text. See xml.h for what it does not do. */
#include "aws/xml.h"

#include <string.h>

#include "base/memory.h"

#define MAXIMUM_TEXT_BYTES ((size_t)64 << 10)
#define LIKELY_TEXT_BYTES ((size_t)8 << 10)

struct scanner {
    const unsigned char *next, *end;
    struct leat_slice names[LEAT_XML_DEPTH];
    unsigned depth;
    struct leat_buf text;
    bool had_child; /* the element that ends next had children: its text is layout */
    const struct leat_xml_events *events;
    void *context;
};

static bool
starts_with(const struct scanner *scanner, const char *text)
{
    size_t size = strlen(text);

    return (size_t)(scanner->end - scanner->next) >= size && memcmp(scanner->next, text, size) == 0;
}

/* Behind the next occurrence of `text`. */
static bool
skip_past(struct scanner *scanner, const char *text)
{
    const unsigned char *found =
        memmem(scanner->next, (size_t)(scanner->end - scanner->next), text, strlen(text));

    if (found == NULL)
        return false;
    scanner->next = found + strlen(text);
    return true;
}

static void
add_utf8(struct leat_buf *out, unsigned long point)
{
    if (point < 0x80) {
        leat_buf_add_byte(out, (unsigned char)point);
    } else if (point < 0x800) {
        leat_buf_add_byte(out, (unsigned char)(0xc0 | point >> 6));
        leat_buf_add_byte(out, (unsigned char)(0x80 | (point & 63)));
    } else if (point < 0x10000) {
        leat_buf_add_byte(out, (unsigned char)(0xe0 | point >> 12));
        leat_buf_add_byte(out, (unsigned char)(0x80 | (point >> 6 & 63)));
        leat_buf_add_byte(out, (unsigned char)(0x80 | (point & 63)));
    } else {
        leat_buf_add_byte(out, (unsigned char)(0xf0 | point >> 18));
        leat_buf_add_byte(out, (unsigned char)(0x80 | (point >> 12 & 63)));
        leat_buf_add_byte(out, (unsigned char)(0x80 | (point >> 6 & 63)));
        leat_buf_add_byte(out, (unsigned char)(0x80 | (point & 63)));
    }
}

/* "#10", "#xA" */
static bool
add_reference(struct leat_buf *out, struct leat_slice digits)
{
    unsigned base = 10;
    unsigned long point = 0;
    size_t i = 1;

    if (digits.size > 2 && digits.data[1] == 'x') {
        base = 16;
        i = 2;
    }
    if (i >= digits.size)
        return false;
    for (; i < digits.size; i++) {
        unsigned char c = digits.data[i];
        unsigned digit = c >= '0' && c <= '9'                 ? (unsigned)(c - '0')
                         : (c | 32) >= 'a' && (c | 32) <= 'f' ? (unsigned)((c | 32) - 'a' + 10)
                                                              : 99;

        if (digit >= base)
            return false;
        point = point * base + digit;
        if (point > 0x10ffff)
            return false;
    }
    if (point >= 0xd800 && point < 0xe000)
        return false;
    add_utf8(out, point);
    return true;
}

static bool
add_entity(struct leat_buf *out, struct leat_slice name)
{
    static const struct {
        const char *name;
        unsigned char character;
    } entities[] = {{"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}};

    if (name.size > 1 && name.data[0] == '#')
        return add_reference(out, name);
    for (size_t i = 0; i < LEAT_COUNT_OF(entities); i++) {
        if (leat_slice_is(name, entities[i].name))
            return leat_buf_add_byte(out, entities[i].character);
    }
    return false;
}

static bool
read_text(struct scanner *scanner)
{
    while (scanner->next < scanner->end && *scanner->next != '<') {
        if (*scanner->next == '&') {
            const unsigned char *end =
                memchr(scanner->next, ';', (size_t)(scanner->end - scanner->next));

            if (end == NULL || end - scanner->next > 12 ||
                !add_entity(&scanner->text,
                            leat_slice_make(scanner->next + 1, (size_t)(end - scanner->next) - 1)))
                return false;
            scanner->next = end + 1;
        } else {
            leat_buf_add_byte(&scanner->text, *scanner->next++);
        }
    }
    return !scanner->text.is_truncated;
}

static bool
is_name_end(unsigned char c)
{
    return c == '>' || c == '/' || c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static struct leat_slice
read_name(struct scanner *scanner)
{
    const unsigned char *begin = scanner->next, *colon;
    struct leat_slice name;

    while (scanner->next < scanner->end && !is_name_end(*scanner->next))
        scanner->next++;
    name = leat_slice_make(begin, (size_t)(scanner->next - begin));
    colon = memchr(name.data, ':', name.size);
    if (colon != NULL)
        name = leat_slice_make(colon + 1, name.size - (size_t)(colon + 1 - name.data));
    return name;
}

/* To the tag's '>', minding quoted attributes; ret_is_empty: "/>". */
static bool
skip_attributes(struct scanner *scanner, bool *ret_is_empty)
{
    unsigned char quote = 0, before = 0;

    for (; scanner->next < scanner->end; scanner->next++) {
        unsigned char c = *scanner->next;

        if (quote != 0) {
            quote = c == quote ? 0 : quote;
        } else if (c == '"' || c == '\'') {
            quote = c;
        } else if (c == '>') {
            scanner->next++;
            *ret_is_empty = before == '/';
            return true;
        }
        before = c;
    }
    return false;
}

static void
end_element(struct scanner *scanner)
{
    struct leat_slice name = scanner->names[--scanner->depth];

    if (scanner->had_child)
        leat_buf_clear(&scanner->text);
    scanner->events->end(scanner->context, name, scanner->depth, leat_buf_slice(&scanner->text));
    leat_buf_clear(&scanner->text);
    scanner->had_child = true;
}

static bool
read_tag(struct scanner *scanner)
{
    bool is_empty = false;
    struct leat_slice name;

    if (starts_with(scanner, "<?"))
        return skip_past(scanner, "?>");
    if (starts_with(scanner, "<!--"))
        return skip_past(scanner, "-->");
    if (starts_with(scanner, "<!")) /* DTD, CDATA: S3 sends neither */
        return false;
    if (starts_with(scanner, "</")) {
        scanner->next += 2;
        name = read_name(scanner);
        if (scanner->depth == 0 || !leat_slice_equals(name, scanner->names[scanner->depth - 1]) ||
            !skip_attributes(scanner, &is_empty))
            return false;
        end_element(scanner);
        return true;
    }
    scanner->next++;
    name = read_name(scanner);
    if (name.size == 0 || scanner->depth == LEAT_XML_DEPTH || !skip_attributes(scanner, &is_empty))
        return false;
    leat_buf_clear(&scanner->text);
    scanner->had_child = false;
    scanner->events->begin(scanner->context, name, scanner->depth);
    scanner->names[scanner->depth++] = name;
    if (is_empty)
        end_element(scanner);
    return true;
}

int
leat_xml_parse(struct leat_slice document, const struct leat_xml_events *events, void *context,
               struct leat_error *err)
{
    struct scanner scanner = {.next = document.data,
                              .end = document.data + document.size,
                              .events = events,
                              .context = context};
    bool is_good = true, is_too_long;

    leat_buf_init(&scanner.text, MAXIMUM_TEXT_BYTES);
    leat_buf_reserve(&scanner.text,
                     LIKELY_TEXT_BYTES); /* STS's secrets fit: no piece of one is left behind */
    while (is_good && scanner.next < scanner.end) {
        if (*scanner.next == '<')
            is_good = read_tag(&scanner);
        else
            is_good = read_text(&scanner);
    }
    is_too_long = scanner.text.is_truncated;
    explicit_bzero(scanner.text.data, scanner.text.capacity);
    leat_buf_release(&scanner.text);
    if (is_too_long)
        return leat_error_set(err, LEAT_E_LIMIT, "XML with a text of more than %zu bytes",
                              MAXIMUM_TEXT_BYTES);
    if (!is_good && scanner.depth == LEAT_XML_DEPTH)
        return leat_error_set(err, LEAT_E_FORMAT, "XML nested deeper than %d", LEAT_XML_DEPTH);
    if (!is_good || scanner.depth != 0)
        return leat_error_set(err, LEAT_E_FORMAT, "not well-formed XML");
    return 0;
}
