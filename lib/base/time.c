/* Times as text: ISO 8601 and its relatives, and formats like strptime's. UTC where no zone is given. Pure. */
#include "base/memory.h"
#include "base/units.h"

struct civil {
    int year, month, day, hour, minute, second, day_of_year;
    int64_t fraction_us, offset_s, epoch_s;
    bool has_epoch;
};

/* Days since 1970-01-01, proleptic Gregorian. */
int64_t
leat_time_from_civil(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    return era * 146097 + day_of_era - 719468;
}

static void
civil_from_days(int64_t days, struct civil *civil)
{
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t day_of_era = z - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted = (5 * day_of_year + 2) / 153;

    civil->day = (int)(day_of_year - (153 * shifted + 2) / 5 + 1);
    civil->month = (int)(shifted < 10 ? shifted + 3 : shifted - 9);
    civil->year = (int)(year_of_era + era * 400 + (civil->month <= 2));
}

static int
days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month - 1] + (month == 2 && is_leap);
}

static bool
civil_to_us(const struct civil *civil, int64_t *ret_us)
{
    int64_t days;

    if (civil->has_epoch) {
        *ret_us = civil->epoch_s * 1000000 + civil->fraction_us;
        return true;
    }
    if (civil->year < 1 || civil->year > 9999 || civil->month < 1 || civil->month > 12 ||
        civil->day < 1 || civil->day > days_in_month(civil->year, civil->month) ||
        civil->hour > 23 || civil->minute > 59 || civil->second > 60 || civil->day_of_year > 366)
        return false;
    days = leat_time_from_civil(civil->year, civil->month, civil->day);
    if (civil->day_of_year > 0)
        days = leat_time_from_civil(civil->year, 1, 1) + civil->day_of_year - 1;
    *ret_us =
        (((days * 24 + civil->hour) * 60 + civil->minute) * 60 + civil->second - civil->offset_s) *
            1000000 +
        civil->fraction_us;
    return true;
}

/* Reads 1 … most digits; false: none. */
static bool
take_number(struct leat_slice *text, size_t most, int64_t *ret_number)
{
    int64_t number = 0;
    size_t i = 0;

    for (; i < most && i < text->size && text->data[i] >= '0' && text->data[i] <= '9'; i++)
        number = number * 10 + (text->data[i] - '0');
    if (i == 0)
        return false;
    *text = leat_slice_make(text->data + i, text->size - i);
    *ret_number = number;
    return true;
}

static bool
take_exactly(struct leat_slice *text, size_t digits, int *ret_number)
{
    size_t before = text->size;
    int64_t number;

    if (!take_number(text, digits, &number) || before - text->size != digits)
        return false;
    *ret_number = (int)number;
    return true;
}

static bool
take_letter(struct leat_slice *text, unsigned char letter)
{
    if (text->size == 0 || text->data[0] != letter)
        return false;
    *text = leat_slice_make(text->data + 1, text->size - 1);
    return true;
}

/* Any number of digits; those behind the sixth are cut off. */
static bool
take_fraction(struct leat_slice *text, int64_t *ret_us)
{
    int64_t us = 0;
    size_t i = 0;

    for (; i < text->size && text->data[i] >= '0' && text->data[i] <= '9'; i++) {
        if (i < 6)
            us = us * 10 + (text->data[i] - '0');
    }
    if (i == 0)
        return false;
    *text = leat_slice_make(text->data + i, text->size - i);
    for (; i < 6; i++)
        us *= 10;
    *ret_us = us;
    return true;
}

/* Z, +02, +0200, +02:00 */
static bool
take_zone(struct leat_slice *text, int64_t *ret_offset_s)
{
    int hours, minutes = 0;
    bool is_west;

    if (take_letter(text, 'Z') || take_letter(text, 'z')) {
        *ret_offset_s = 0;
        return true;
    }
    is_west = take_letter(text, '-');
    if ((!is_west && !take_letter(text, '+')) || !take_exactly(text, 2, &hours))
        return false;
    if (take_letter(text, ':')) {
        if (!take_exactly(text, 2, &minutes))
            return false;
    } else if (text->size > 0 && !take_exactly(text, 2, &minutes)) {
        return false;
    }
    if (hours > 23 || minutes > 59)
        return false;
    *ret_offset_s = (hours * 3600 + minutes * 60) * (is_west ? -1 : 1);
    return true;
}

static bool
take_clock(struct leat_slice *text, struct civil *civil)
{
    if (!take_exactly(text, 2, &civil->hour) || !take_letter(text, ':') ||
        !take_exactly(text, 2, &civil->minute))
        return false;
    if (!take_letter(text, ':'))
        return true;
    if (!take_exactly(text, 2, &civil->second))
        return false;
    if (take_letter(text, '.') || take_letter(text, ','))
        return take_fraction(text, &civil->fraction_us);
    return true;
}

static bool
take_date(struct leat_slice *text, struct civil *civil)
{
    return take_exactly(text, 4, &civil->year) && take_letter(text, '-') &&
           take_exactly(text, 2, &civil->month) && take_letter(text, '-') &&
           take_exactly(text, 2, &civil->day);
}

bool
leat_parse_time(struct leat_slice text, int64_t *ret_us)
{
    struct civil civil = {0};

    if (!take_date(&text, &civil))
        return false;
    if (text.size > 0) {
        if (!take_letter(&text, 'T') && !take_letter(&text, 't') && !take_letter(&text, ' '))
            return false;
        if (!take_clock(&text, &civil))
            return false;
        take_letter(&text, ' ');
        if (text.size > 0 && !take_zone(&text, &civil.offset_s))
            return false;
    }
    return text.size == 0 && civil_to_us(&civil, ret_us);
}

static bool
take_month_name(struct leat_slice *text, int *ret_month)
{
    static const char names[] = "janfebmaraprmayjunjulaugsepoctnovdec";

    if (text->size < 3)
        return false;
    for (int month = 0; month < 12; month++) {
        bool is_same = true;

        for (int i = 0; i < 3; i++)
            is_same = is_same && (text->data[i] | 0x20) == (unsigned char)names[month * 3 + i];
        if (is_same) {
            *text = leat_slice_make(text->data + 3, text->size - 3);
            *ret_month = month + 1;
            return true;
        }
    }
    return false;
}

static bool
take_into(struct leat_slice *text, size_t most, int *ret_number)
{
    int64_t number;

    if (!take_number(text, most, &number))
        return false;
    *ret_number = (int)number;
    return true;
}

static bool
take_field(struct leat_slice *text, char field, struct civil *civil)
{
    switch (field) {
    case 'Y':
        return take_exactly(text, 4, &civil->year);
    case 'y':
        if (!take_exactly(text, 2, &civil->year))
            return false;
        civil->year += civil->year < 69 ? 2000 : 1900; /* as strptime(3) */
        return true;
    case 'm':
        return take_into(text, 2, &civil->month);
    case 'b':
        return take_month_name(text, &civil->month);
    case 'e':
        take_letter(text, ' ');
        return take_into(text, 2, &civil->day);
    case 'd':
        return take_into(text, 2, &civil->day);
    case 'H':
        return take_into(text, 2, &civil->hour);
    case 'M':
        return take_into(text, 2, &civil->minute);
    case 'S':
        return take_into(text, 2, &civil->second);
    case 'j':
        return take_exactly(text, 3, &civil->day_of_year) && civil->day_of_year > 0;
    case 's':
        civil->has_epoch = true;
        return take_number(text, 12, &civil->epoch_s);
    case 'f':
        return take_fraction(text, &civil->fraction_us);
    case 'z':
        return take_zone(text, &civil->offset_s);
    case 'T':
        return take_clock(text, civil);
    case 'F':
        return take_date(text, civil);
    case '%':
        return take_letter(text, '%');
    default:
        return false;
    }
}

bool
leat_parse_time_as(struct leat_slice text, const char *format, int64_t *ret_us)
{
    struct civil civil = {.month = 1, .day = 1};

    for (; *format != '\0'; format++) {
        if (*format == '%') {
            format++;
            if (*format == '\0' || !take_field(&text, *format, &civil))
                return false;
        } else if (!take_letter(&text, (unsigned char)*format)) {
            return false;
        }
    }
    return text.size == 0 && civil_to_us(&civil, ret_us);
}

void
leat_format_time(struct leat_buf *out, int64_t us)
{
    int64_t days = us / 86400000000, rest = us % 86400000000;
    struct civil civil = {0};

    if (rest < 0) {
        rest += 86400000000;
        days--;
    }
    civil_from_days(days, &civil);
    leat_buf_printf(out, "%04d-%02d-%02dT%02d:%02d:%02d", civil.year, civil.month, civil.day,
                    (int)(rest / 3600000000), (int)(rest / 60000000 % 60),
                    (int)(rest / 1000000 % 60));
    if (rest % 1000000 != 0)
        leat_buf_printf(out, ".%06d", (int)(rest % 1000000));
    leat_buf_add_byte(out, 'Z');
}
