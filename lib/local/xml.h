/* Text as XML wants it, for the answers of S3 and STS. Pure. */
#ifndef LEAT_LOCAL_XML_H
#define LEAT_LOCAL_XML_H

#include "base/buf.h"

/* Text of an element; what XML cannot hold as it is becomes a reference. */
void leat_local_xml_text(struct leat_buf *out, struct leat_slice text);

#endif
