/* Only the last star is ever gone back to: what an earlier one took cannot matter any more. */
#include "base/glob.h"

#include <stddef.h>
#include <string.h>

bool
leat_is_glob(const char *text)
{
    return strpbrk(text, "*?") != NULL;
}

bool
leat_glob_matches(const char *pattern, const char *text)
{
    const char *behind_star = NULL, *taken = NULL;

    while (*text != '\0') {
        if (*pattern == '*') {
            behind_star = ++pattern;
            taken = text;
        } else if (*pattern == '?' || *pattern == *text) {
            pattern++;
            text++;
        } else if (behind_star != NULL) {
            pattern = behind_star;
            text = ++taken;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}
