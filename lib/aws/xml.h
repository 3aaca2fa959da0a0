/*
 * Just enough XML for S3's lists and errors: elements and their text, the five named entities and character references.
 * No DTD (refused), attributes are skipped. Bounded by the text and by LEAT_XML_DEPTH. Pure; fuzzed.
 */
#ifndef LEAT_AWS_XML_H
#define LEAT_AWS_XML_H

#include "base/buf.h"

#define LEAT_XML_DEPTH 16

struct leat_xml_events {
    /* name without its prefix; lives as long as the document */
    void (*begin)(void *context, struct leat_slice name, unsigned depth);
    /* text: of an element without children, unescaped; lives until the call returns. Empty for others. */
    void (*end)(void *context, struct leat_slice name, unsigned depth, struct leat_slice text);
};
int leat_xml_parse(struct leat_slice document, const struct leat_xml_events *events, void *context,
                   struct leat_error *err);

#endif
