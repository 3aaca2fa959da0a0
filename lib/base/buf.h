/* A growing run of bytes with a maximum. Past the maximum it stops growing and remembers that. */
#ifndef LEAT_BASE_BUF_H
#define LEAT_BASE_BUF_H

#include <stdint.h>

#include <leat/error.h>
#include <leat/slice.h>

struct leat_buf {
    unsigned char *data; /* NULL until something is added */
    size_t size, capacity, maximum;
    bool is_truncated; /* something did not fit: what is there is a prefix */
};

#define LEAT_BUF_INIT                                                                              \
    {                                                                                              \
        .maximum = SIZE_MAX                                                                        \
    }

void leat_buf_init(struct leat_buf *buf, size_t maximum_bytes);
void leat_buf_release(struct leat_buf *buf); /* usable again afterwards */
void leat_buf_clear(struct leat_buf *buf);   /* keeps the memory */
bool leat_buf_reserve(struct leat_buf *buf, size_t more_bytes);
bool leat_buf_add(struct leat_buf *buf, const void *data, size_t size);
bool leat_buf_add_slice(struct leat_buf *buf, struct leat_slice slice);
bool leat_buf_add_text(struct leat_buf *buf, const char *text);
bool leat_buf_add_byte(struct leat_buf *buf, unsigned char byte);
bool leat_buf_printf(struct leat_buf *buf, const char *format, ...) LEAT_PRINTF(2, 3);
bool leat_buf_vprintf(struct leat_buf *buf, const char *format, va_list arguments)
    LEAT_PRINTF(2, 0);
/* big-endian integers, as wire formats want them */
bool leat_buf_add_be16(struct leat_buf *buf, uint16_t value);
bool leat_buf_add_be32(struct leat_buf *buf, uint32_t value);
bool leat_buf_add_be64(struct leat_buf *buf, uint64_t value);
struct leat_slice leat_buf_slice(const struct leat_buf *buf);
/* Adds a zero behind the end (not counted in size) and returns the text; never NULL. */
const char *leat_buf_text(struct leat_buf *buf);
/* The heap memory, zero-terminated, now the caller's; the buf is empty again. */
char *leat_buf_take(struct leat_buf *buf);

void leat_buf_cleanup(struct leat_buf *buf);
#define LEAT_AUTO_BUF __attribute__((cleanup(leat_buf_cleanup))) struct leat_buf

#endif
