/* A member of a JSON object as it was written. Pure. */
#ifndef LEAT_BASE_JSON_MEMBER_H
#define LEAT_BASE_JSON_MEMBER_H

#include <stdbool.h>

#include <leat/slice.h>

/*
 * The bytes of the value of `key` in the object `text`, which a parser has taken already (leat_json_parse): a piece of `text`,
 * without blanks around it. A number keeps all its digits, where a tree has 64 bits. Of a key that is there twice the last one, as
 * in a tree. false: not an object, or there is no such key.
 */
bool leat_json_member(struct leat_slice text, const char *key, struct leat_slice *ret_value);

#endif
