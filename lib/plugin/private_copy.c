/* The copy is hashed while it is made; then nobody can change it any more, and it is looked at. */
#include "plugin/private_copy.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <openssl/evp.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/encoding.h"
#include "base/memory.h"

#define MAXIMUM_BYTES ((size_t)1 << 30)
#define NATIVE_CLASS (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32)

/* Which this program is built for; the loader says of another one's file that there is no such file. EM_NONE: not compared. */
#if defined(__x86_64__)
#define NATIVE_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define NATIVE_MACHINE EM_AARCH64
#elif defined(__riscv)
#define NATIVE_MACHINE EM_RISCV
#elif defined(__powerpc64__)
#define NATIVE_MACHINE EM_PPC64
#elif defined(__s390x__)
#define NATIVE_MACHINE EM_S390
#else
#define NATIVE_MACHINE EM_NONE
#endif
#define NATIVE_DATA (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB)

/* ---- ELF ---------------------------------------------------------------------------------------- */

static bool
is_within(uint64_t offset, uint64_t size, size_t whole)
{
    return offset <= whole && size <= whole - offset;
}

static int
refuse_elf(const char *file, const char *why, struct leat_error *err)
{
    return leat_error_set(err, LEAT_E_INVALID, "could not load plugin \"%s\": %s", file, why);
}

int
leat_elf_check(struct leat_slice bytes, const char *file, struct leat_error *err)
{
    static const char cut[] = "it is cut short: copy or build it again";
    ElfW(Ehdr) head;
    ElfW(Phdr) segment;

    if (bytes.size < SELFMAG || memcmp(bytes.data, ELFMAG, SELFMAG) != 0)
        return refuse_elf(file, "it is no ELF file", err);
    if (bytes.size < sizeof head)
        return refuse_elf(file, cut, err);
    memcpy(&head, bytes.data, sizeof head);
    if (head.e_ident[EI_CLASS] != NATIVE_CLASS || head.e_ident[EI_DATA] != NATIVE_DATA ||
        head.e_type != ET_DYN || (NATIVE_MACHINE != EM_NONE && head.e_machine != NATIVE_MACHINE))
        return refuse_elf(file, "it is no shared library of this machine's kind", err);
    if (head.e_phentsize != sizeof segment ||
        !is_within(head.e_phoff, (uint64_t)head.e_phnum * sizeof segment, bytes.size) ||
        (head.e_shoff != 0 &&
         !is_within(head.e_shoff, (uint64_t)head.e_shnum * head.e_shentsize, bytes.size)))
        return refuse_elf(file, cut, err);
    for (size_t i = 0; i < head.e_phnum; i++) {
        memcpy(&segment, bytes.data + head.e_phoff + i * sizeof segment, sizeof segment);
        if ((segment.p_type == PT_LOAD || segment.p_type == PT_DYNAMIC) &&
            !is_within(segment.p_offset, segment.p_filesz, bytes.size))
            return refuse_elf(file, cut, err);
    }
    return 0;
}

/* All that fd holds, mapped; NULL data: it could not be. */
static struct leat_slice
map(int fd)
{
    off_t size = lseek(fd, 0, SEEK_END);
    void *data = size > 0 ? mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;

    return data != MAP_FAILED ? leat_slice_make(data, (size_t)size) : (struct leat_slice){0};
}

static void
unmap(struct leat_slice bytes)
{
    if (bytes.data != NULL)
        munmap((void *)(uintptr_t)bytes.data, bytes.size);
}

bool
leat_private_copy_has_origin(int fd)
{
    struct leat_slice bytes = map(fd);
    bool has_origin = bytes.data != NULL && memmem(bytes.data, bytes.size, "$ORIGIN", 7) != NULL;

    unmap(bytes);
    return has_origin;
}

/* ---- the copy ----------------------------------------------------------------------------------- */

static bool
write_all(int fd, const unsigned char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t written = write(fd, bytes, size);

        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        bytes += written;
        size -= (size_t)written;
    }
    return true;
}

/* copy -1: hashes alone. */
static int
copy_and_hash(const char *file, int fd, int copy, EVP_MD_CTX *hash, struct leat_error *err)
{
    LEAT_AUTO_FREE unsigned char *bytes = leat_alloc(65536);
    size_t all = 0;
    ssize_t size;

    while ((size = pread(fd, bytes, 65536, (off_t)all)) != 0) {
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0)
            return leat_error_set(err, LEAT_E_SYSTEM, "could not read plugin \"%s\": %s", file,
                                  strerror(errno));
        all += (size_t)size;
        if (all > MAXIMUM_BYTES)
            return leat_error_set(err, LEAT_E_LIMIT,
                                  "plugin \"%s\" is larger than %zu bytes: no plugin is", file,
                                  MAXIMUM_BYTES);
        LEAT_ASSERT(EVP_DigestUpdate(hash, bytes, (size_t)size) == 1);
        if (copy >= 0 && !write_all(copy, bytes, (size_t)size))
            return leat_error_set(err, LEAT_E_SYSTEM, "could not copy plugin \"%s\": %s", file,
                                  strerror(errno));
    }
    return 0;
}

/* Nobody, we included, changes it from here on. */
static int
seal(const char *file, int copy, struct leat_error *err)
{
    if (fcntl(copy, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0)
        return leat_error_set(err, LEAT_E_SYSTEM, "could not seal the copy of plugin \"%s\": %s",
                              file, strerror(errno));
    return 0;
}

static int
check_copy(const char *file, int copy, struct leat_error *err)
{
    struct leat_slice bytes = map(copy);
    int status = leat_elf_check(bytes, file, err);

    unmap(bytes);
    return status;
}

int
leat_private_copy_make(const char *file, int fd, int *ret_fd, struct leat_buf *ret_hex,
                       struct leat_error *err)
{
    const char *slash = strrchr(file, '/');
    char name[200];
    unsigned char digest[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    int copy, status;

    snprintf(name, sizeof name, "%s", slash != NULL ? slash + 1 : file);
    copy = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    LEAT_ASSERT(hash != NULL && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1);
    status = copy_and_hash(file, fd, copy, hash, err);
    EVP_DigestFinal_ex(hash, digest, NULL);
    EVP_MD_CTX_free(hash);
    if (status == 0 && copy >= 0)
        status = seal(file, copy, err);
    if (status == 0 && copy < 0) {
        /* No memfd here (an old kernel, a filter of system calls): the file itself, by what was checked. */
        copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (copy < 0)
            status = leat_error_set(err, LEAT_E_SYSTEM, "could not keep plugin \"%s\" open: %s",
                                    file, strerror(errno));
    }
    if (status == 0)
        status = check_copy(file, copy, err);
    if (status != 0) {
        if (copy >= 0)
            close(copy);
        return status;
    }
    leat_hex_encode(ret_hex, leat_slice_make(digest, 32));
    *ret_fd = copy;
    return 0;
}
