/*
 * Times: ISO 8601 by hand (it is read once per record, so no strptime and no locale), a strptime-like reader
 * for what streams really carry, and the way back. Proleptic Gregorian, UTC. Pure.
 */
#include "base/units.h"

#include <inttypes.h>
#include <strings.h>

#define DAY_SECONDS INT64_C(86400)
#define SECOND_US INT64_C(1000000)
#define MINIMUM_US INT64_C(-62135596800000000) /* 0001-01-01 */
#define END_US INT64_C(253402300800000000)     /* 10000-01-01 */

/* What is left to read. */
struct cursor {
    const unsigned char *next, *end;
};

struct civil {
    int year, month, day, hour, minute, second;
    int year_day; /* 0: not given */
    int64_t fraction_us, zone_seconds;
    int64_t epoch_seconds;
    bool has_epoch;
};

/*
 * Years are counted from March, so that the leap day is a year's last: 153 days are five months from
 * March on, 146,097 days are 400 years, 719,468 days lie between 0000-03-01 and 1970-01-01.
 */
int64_t
leat_time_from_civil(int year, int month, int day)
{
    int64_t shifted = month > 2 ? year : (int64_t)year - 1;
    int64_t cycle = (shifted >= 0 ? shifted : shifted - 399) / 400;
    int64_t year_of_cycle = shifted - cycle * 400;
    int64_t month_from_march = (month + 9) % 12;
    int64_t day_of_year = (153 * month_from_march + 2) / 5 + day - 1;

    return cycle * 146097 + year_of_cycle * 365 + year_of_cycle / 4 - year_of_cycle / 100 +
           day_of_year - 719468;
}

static void
civil_from_days(int64_t days, int *ret_year, int *ret_month, int *ret_day)
{
    int64_t shifted = days + 719468;
    int64_t cycle = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
    int64_t day_of_cycle = shifted - cycle * 146097;
    int64_t year_of_cycle =
        (day_of_cycle - day_of_cycle / 1460 + day_of_cycle / 36524 - day_of_cycle / 146096) / 365;
    int64_t day_of_year = day_of_cycle -
                          (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    int64_t month_from_march = (5 * day_of_year + 2) / 153;

    *ret_day = (int)(day_of_year - (153 * month_from_march + 2) / 5 + 1);
    *ret_month = (int)(month_from_march < 10 ? month_from_march + 3 : month_from_march - 9);
    *ret_year = (int)(year_of_cycle + cycle * 400 + (*ret_month <= 2));
}

static bool
is_leap(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int
days_of_month(int year, int month)
{
    static const signed char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

/* The moment of a date and time, or false when there is none such. A second of 60 is the next one. */
static bool
moment(const struct civil *civil, int64_t *ret_us)
{
    int64_t days, seconds, us;

    if (civil->year < 1 || civil->year > 9999 || civil->month < 1 || civil->month > 12 ||
        civil->day < 1 || civil->day > days_of_month(civil->year, civil->month) ||
        civil->hour > 23 || civil->minute > 59 || civil->second > 60 ||
        civil->year_day > 365 + is_leap(civil->year))
        return false;
    days = civil->year_day > 0 ? leat_time_from_civil(civil->year, 1, 1) + civil->year_day - 1
                               : leat_time_from_civil(civil->year, civil->month, civil->day);
    seconds = days * DAY_SECONDS + civil->hour * 3600 + civil->minute * 60 + civil->second -
              civil->zone_seconds;
    us = seconds * SECOND_US + civil->fraction_us;
    if (us < MINIMUM_US || us >= END_US)
        return false;
    *ret_us = us;
    return true;
}

/* Between `minimum` and `maximum` digits. */
static bool
take_digits(struct cursor *cursor, int minimum, int maximum, int *ret_number)
{
    int number = 0, count = 0;

    while (count < maximum && cursor->next < cursor->end && *cursor->next >= '0' &&
           *cursor->next <= '9') {
        number = number * 10 + (*cursor->next++ - '0');
        count++;
    }
    *ret_number = number;
    return count >= minimum;
}

static bool
take_byte(struct cursor *cursor, unsigned char byte)
{
    if (cursor->next == cursor->end || *cursor->next != byte)
        return false;
    cursor->next++;
    return true;
}

/* A fraction of a second: any number of digits, the seventh and on dropped. */
static bool
take_fraction(struct cursor *cursor, int64_t *ret_us)
{
    int64_t us = 0, weight = 100000;
    const unsigned char *begin = cursor->next;

    while (cursor->next < cursor->end && *cursor->next >= '0' && *cursor->next <= '9') {
        us += (*cursor->next++ - '0') * weight;
        weight /= 10;
    }
    *ret_us = us;
    return cursor->next > begin;
}

/* Z, +02, +0200, +02:00 */
static bool
take_zone(struct cursor *cursor, int64_t *ret_seconds)
{
    int hours, minutes = 0;
    bool is_west;

    if (take_byte(cursor, 'Z') || take_byte(cursor, 'z')) {
        *ret_seconds = 0;
        return true;
    }
    is_west = take_byte(cursor, '-');
    if ((!is_west && !take_byte(cursor, '+')) || !take_digits(cursor, 2, 2, &hours))
        return false;
    if (cursor->next < cursor->end &&
        (*cursor->next == ':' || (*cursor->next >= '0' && *cursor->next <= '9'))) {
        take_byte(cursor, ':');
        if (!take_digits(cursor, 2, 2, &minutes))
            return false;
    }
    if (hours > 23 || minutes > 59)
        return false;
    *ret_seconds = (hours * 60 + minutes) * (is_west ? -60 : 60);
    return true;
}

/* HH:MM, HH:MM:SS, HH:MM:SS.fff; without colons in the basic form. */
static bool
take_clock(struct cursor *cursor, bool is_basic, struct civil *civil)
{
    if (!take_digits(cursor, 2, 2, &civil->hour) || (!is_basic && !take_byte(cursor, ':')) ||
        !take_digits(cursor, 2, 2, &civil->minute))
        return false;
    if (is_basic ? cursor->next < cursor->end && *cursor->next >= '0' && *cursor->next <= '9'
                 : take_byte(cursor, ':')) {
        if (!take_digits(cursor, 2, 2, &civil->second))
            return false;
        if ((take_byte(cursor, '.') || take_byte(cursor, ',')) &&
            !take_fraction(cursor, &civil->fraction_us))
            return false;
    }
    if (cursor->next == cursor->end)
        return true;
    take_byte(cursor, ' ');
    return take_zone(cursor, &civil->zone_seconds);
}

bool
leat_parse_time(struct leat_slice text, int64_t *ret_us)
{
    struct cursor cursor = {text.data, text.data + text.size};
    struct civil civil = {0};
    bool is_basic;

    if (!take_digits(&cursor, 4, 4, &civil.year))
        return false;
    is_basic = !take_byte(&cursor, '-');
    if (!take_digits(&cursor, 2, 2, &civil.month) || (!is_basic && !take_byte(&cursor, '-')) ||
        !take_digits(&cursor, 2, 2, &civil.day))
        return false;
    if (cursor.next < cursor.end) {
        if (!take_byte(&cursor, 'T') && !take_byte(&cursor, ' ') && !take_byte(&cursor, 't'))
            return false;
        if (!take_clock(&cursor, is_basic, &civil))
            return false;
    }
    return cursor.next == cursor.end && moment(&civil, ret_us);
}

/* English, whatever the locale; the short form or the whole name. */
static bool
take_month(struct cursor *cursor, int *ret_month)
{
    static const char *const names[] = {"january",   "february", "march",    "april",
                                        "may",       "june",     "july",     "august",
                                        "september", "october",  "november", "december"};
    size_t left = (size_t)(cursor->end - cursor->next);

    for (int i = 0; i < 12; i++) {
        size_t size = strlen(names[i]);

        if (left < 3 || strncasecmp((const char *)cursor->next, names[i], 3) != 0)
            continue;
        cursor->next +=
            left >= size && strncasecmp((const char *)cursor->next, names[i], size) == 0 ? size : 3;
        *ret_month = i + 1;
        return true;
    }
    return false;
}

static bool
take_epoch(struct cursor *cursor, struct civil *civil)
{
    bool is_negative = take_byte(cursor, '-');
    const unsigned char *begin = cursor->next;
    int64_t seconds = 0;

    while (cursor->next < cursor->end && *cursor->next >= '0' && *cursor->next <= '9') {
        if (cursor->next - begin > 11)
            return false; /* past the year 9999 */
        seconds = seconds * 10 + (*cursor->next++ - '0');
    }
    civil->epoch_seconds = is_negative ? -seconds : seconds;
    civil->has_epoch = true;
    return cursor->next > begin;
}

static bool take_format(struct cursor *cursor, const char *format, struct civil *civil);

static bool
take_conversion(struct cursor *cursor, char conversion, struct civil *civil)
{
    switch (conversion) {
    case 'Y':
        return take_digits(cursor, 4, 4, &civil->year);
    case 'y':
        if (!take_digits(cursor, 2, 2, &civil->year))
            return false;
        civil->year += civil->year < 69 ? 2000 : 1900; /* as POSIX has it */
        return true;
    case 'm':
        return take_digits(cursor, 1, 2, &civil->month);
    case 'b':
        return take_month(cursor, &civil->month);
    case 'e':
        take_byte(cursor, ' ');
        return take_digits(cursor, 1, 2, &civil->day);
    case 'd':
        return take_digits(cursor, 1, 2, &civil->day);
    case 'j':
        return take_digits(cursor, 1, 3, &civil->year_day) && civil->year_day > 0;
    case 'H':
        return take_digits(cursor, 1, 2, &civil->hour);
    case 'M':
        return take_digits(cursor, 1, 2, &civil->minute);
    case 'S':
        return take_digits(cursor, 1, 2, &civil->second);
    case 'f':
        return take_fraction(cursor, &civil->fraction_us);
    case 'z':
        return take_zone(cursor, &civil->zone_seconds);
    case 's':
        return take_epoch(cursor, civil);
    case 'T':
        return take_format(cursor, "%H:%M:%S", civil);
    case 'F':
        return take_format(cursor, "%Y-%m-%d", civil);
    case '%':
        return take_byte(cursor, '%');
    default:
        return false;
    }
}

static bool
is_space(unsigned char letter)
{
    return letter == ' ' || (letter >= '\t' && letter <= '\r');
}

/* White space in the format stands for any run of it, or none, in the text. */
static bool
take_format(struct cursor *cursor, const char *format, struct civil *civil)
{
    for (; *format != '\0'; format++) {
        if (is_space((unsigned char)*format)) {
            while (cursor->next < cursor->end && is_space(*cursor->next))
                cursor->next++;
        } else if (*format != '%') {
            if (!take_byte(cursor, (unsigned char)*format))
                return false;
        } else if (*++format == '\0' || !take_conversion(cursor, *format, civil)) {
            return false;
        }
    }
    return true;
}

bool
leat_parse_time_as(struct leat_slice text, const char *format, int64_t *ret_us)
{
    struct cursor cursor = {text.data, text.data + text.size};
    struct civil civil = {.year = 1970, .month = 1, .day = 1};
    int64_t us;

    if (!take_format(&cursor, format, &civil) || cursor.next != cursor.end)
        return false;
    if (!civil.has_epoch)
        return moment(&civil, ret_us);
    us = civil.epoch_seconds * SECOND_US +
         (civil.epoch_seconds < 0 ? -civil.fraction_us : civil.fraction_us);
    if (us < MINIMUM_US || us >= END_US)
        return false;
    *ret_us = us;
    return true;
}

void
leat_format_time(struct leat_buf *out, int64_t us)
{
    int64_t seconds = us / SECOND_US, fraction = us % SECOND_US, days, rest;
    int year, month, day;

    if (fraction < 0) {
        fraction += SECOND_US;
        seconds--;
    }
    days = seconds / DAY_SECONDS;
    rest = seconds % DAY_SECONDS;
    if (rest < 0) {
        rest += DAY_SECONDS;
        days--;
    }
    civil_from_days(days, &year, &month, &day);
    leat_buf_printf(out, "%04d-%02d-%02dT%02d:%02d:%02d", year, month, day, (int)(rest / 3600),
                    (int)(rest / 60 % 60), (int)(rest % 60));
    if (fraction > 0)
        leat_buf_printf(out, ".%06d", (int)fraction);
    leat_buf_add_byte(out, 'Z');
}

static bool
take_away(struct leat_slice *text, const char *end)
{
    size_t size = strlen(end);

    if (text->size <= size || memcmp(text->data + text->size - size, end, size) != 0)
        return false;
    text->size -= size;
    return true;
}

bool
leat_parse_moment(struct leat_slice text, int64_t now_us, int64_t *ret_us)
{
    int64_t ago_us;

    if (leat_parse_time(text, ret_us))
        return true;
    if (text.size > 1 && text.data[0] == '-')
        text = leat_slice_make(text.data + 1, text.size - 1);
    else if (!take_away(&text, " ago"))
        return false;
    if (leat_parse_duration(text, &ago_us, NULL) != 0 || ago_us < 0 || ago_us > now_us)
        return false;
    *ret_us = now_us - ago_us;
    return true;
}
