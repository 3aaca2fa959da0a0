/* Opened once and read whole: a file that is swapped in between (kubelet swaps a link) is the old one or the new one. */
#include "aws/credentials_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>

/* false: errno. A file that is longer than the buffer's bound is read up to one byte more. */
static bool
read_all(int fd, struct leat_buf *text, size_t maximum_bytes)
{
    unsigned char piece[4096];
    ssize_t size = 0;

    while (text->size <= maximum_bytes && (size = read(fd, piece, sizeof piece)) != 0) {
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0)
            break;
        leat_buf_add(text, piece, (size_t)size);
    }
    OPENSSL_cleanse(piece, sizeof piece);
    return size >= 0;
}

static bool
is_one_line(struct leat_slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < ' ' || text.data[i] > '~')
            return false;
    }
    return true;
}

static int
check(struct leat_buf *text, const char *path, const char *what, bool may_end_line,
      struct leat_error *err)
{
    size_t size = text->size;

    while (size > 0 && (text->data[size - 1] == '\n' || text->data[size - 1] == '\r'))
        size--;
    if (size == 0)
        return leat_error_set(err, LEAT_E_INVALID, "the file \"%.200s\" of the %s is empty", path,
                              what);
    if (may_end_line)
        text->size = size;
    if (!is_one_line(leat_buf_slice(text)))
        return leat_error_set(err, LEAT_E_INVALID,
                              "the %s in \"%.200s\" has a line end or another character that does "
                              "not belong",
                              what, path);
    return 0;
}

int
leat_credentials_file_read(const char *path, const char *what, size_t maximum_bytes,
                           bool may_end_line, struct leat_buf *ret_text, struct leat_error *err)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), result;

    if (fd < 0)
        return leat_error_set(err, LEAT_E_SYSTEM, "could not open the %s's file \"%.200s\": %s",
                              what, path, strerror(errno));
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        close(fd);
        return leat_error_set(err, LEAT_E_INVALID, "\"%.200s\" of the %s is no file", path, what);
    }
    leat_buf_init(ret_text, maximum_bytes + 4097);
    leat_buf_reserve(ret_text, maximum_bytes + 4097);
    if (!read_all(fd, ret_text, maximum_bytes))
        result = leat_error_set(err, LEAT_E_SYSTEM, "could not read the %s's file \"%.200s\": %s",
                                what, path, strerror(errno));
    else if (ret_text->size > maximum_bytes)
        result = leat_error_set(err, LEAT_E_INVALID,
                                "the %s in \"%.200s\" is longer than %zu bytes", what, path,
                                maximum_bytes);
    else
        result = check(ret_text, path, what, may_end_line, err);
    close(fd);
    if (result < 0)
        leat_credentials_wipe(ret_text);
    return result;
}

void
leat_credentials_wipe(struct leat_buf *text)
{
    if (text->data != NULL)
        OPENSSL_cleanse(text->data, text->capacity);
    leat_buf_release(text);
}
