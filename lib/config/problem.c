/* Problems are kept until all are known: a file is mended in one go. Each is one line, whatever bytes are quoted in it. */
#include "config/problem.h"

#include "base/memory.h"
#include "base/units.h"

void
leat_problem_add(struct leat_problems *problems, struct leat_place place, const char *format, ...)
{
    char text[LEAT_ERROR_TEXT_BYTES * 2];
    va_list arguments;

    if (problems->count++ >= LEAT_PROBLEMS)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    for (char *byte = text; *byte != '\0'; byte++) {
        if ((unsigned char)*byte < ' ' || *byte == 0x7f)
            *byte = '?';
    }
    problems->items[problems->count - 1] = (struct leat_problem){
        .place = place, .order = problems->count, .text = leat_arena_strdup(problems->arena, text)};
}

void
leat_problem_unknown(struct leat_problems *problems, struct leat_place place, const char *what,
                     const char *word, const char *where, const char *const *words)
{
    const char *nearest = leat_did_you_mean(word, words);

    leat_problem_add(problems, place, "there is no %s \"%.100s\"%s%.200s%s%s%s", what, word,
                     *where != '\0' ? " in " : "", where,
                     nearest != NULL ? ", did you mean \"" : "", nearest != NULL ? nearest : "",
                     nearest != NULL ? "\"?" : "");
}

static int
compare(const void *left, const void *right)
{
    const struct leat_problem *a = left, *b = right;

    if (a->place.layer != b->place.layer)
        return a->place.layer < b->place.layer ? -1 : 1;
    if (a->place.line != b->place.line)
        return a->place.line < b->place.line ? -1 : 1;
    if (a->place.column != b->place.column)
        return a->place.column < b->place.column ? -1 : 1;
    return a->order < b->order ? -1 : 1;
}

void
leat_problems_tell(struct leat_problems *problems, leat_config_report_fn report, void *context)
{
    size_t told = problems->count < LEAT_PROBLEMS ? problems->count : LEAT_PROBLEMS;
    LEAT_AUTO_BUF line = LEAT_BUF_INIT;

    leat_sort(problems->items, told, sizeof *problems->items, compare);
    for (size_t i = 0; i < told; i++) {
        const struct leat_problem *problem = &problems->items[i];

        leat_buf_clear(&line);
        if (problem->place.origin != NULL)
            leat_buf_printf(&line, "%s: %s", problem->place.origin, problem->text);
        else if (problem->place.line > 0)
            leat_buf_printf(&line, "%s:%d:%d: %s", problems->file, problem->place.line,
                            problem->place.column, problem->text);
        else
            leat_buf_printf(&line, "%s: %s", problems->file, problem->text);
        report(context, leat_buf_text(&line));
    }
    if (problems->count > told) {
        leat_buf_clear(&line);
        leat_buf_printf(&line, "%s: and %zu more", problems->file, problems->count - told);
        report(context, leat_buf_text(&line));
    }
}
