/*
 * What AWS's own tools are told by: an environment variable, or else a key of the profile. What is blank is not set; blanks and
 * line ends around a value are not of it. A value that is nonsense is an error that names the variable or the key.
 */
#ifndef LEAT_AWS_SETTING_H
#define LEAT_AWS_SETTING_H

#include <leat/error.h>
#include <leat/slice.h>

struct leat_setting {
    char *text; /* owned; NULL: not set */
    const char
        *name; /* the variable or the key that said it, as it was given to leat_setting_get */
};

bool leat_setting_is_set(const char *text);

/* Looks the variable up, then the key in the profile (NULL: the active one). A variable or key that is NULL is not there. Not
   set is no error, and a home without files that may be read says nothing. */
int leat_setting_get(const char *variable, const char *profile, const char *key,
                     struct leat_setting *ret_setting, struct leat_error *err);
void leat_setting_release(struct leat_setting *setting);

/* Pure; what is not set leaves the value as it is. true and false in any case. */
int leat_setting_bool(const struct leat_setting *setting, bool *value, struct leat_error *err);
/* 1 … maximum, in decimal. */
int leat_setting_count(const struct leat_setting *setting, unsigned maximum, unsigned *value,
                       struct leat_error *err);
/* The place in a list of names that ends with NULL, in any case. */
int leat_setting_choice(const struct leat_setting *setting, const char *const *names,
                        unsigned *value, struct leat_error *err);

#endif
