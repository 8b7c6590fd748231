/* SPDX-License-Identifier: Apache-2.0 */
/* safetensors: 8 bytes of length, little endian, that much JSON, then the tensors without gaps. */
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "common/xalloc.h"
#include "structure.h"

#define HEADER_MAX_BYTES 100000000ULL /* the format's own limit */
#define LENGTH_BYTES 8

static int damaged(const char *path, const char *what, struct err *err)
{
    return err_set(err, ERR_MISSING, "'%.300s' is no complete safetensors file: %s", path, what);
}

static int read_exactly(int fd, const char *path, void *out, size_t len, uint64_t at,
                        struct err *err)
{
    char *p = out;

    while (len) {
        ssize_t n = pread(fd, p, len, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(err, errno, "cannot read '%s'", path);
        if (n == 0)
            return damaged(path, "it ends within its header", err);
        p += n;
        at += (uint64_t)n;
        len -= (size_t)n;
    }
    return 0;
}

/* Where the tensor of one header entry ends, from the first tensor byte. Returns 0, or -1. */
static int tensor_end(json_t *entry, uint64_t *end)
{
    json_t *offsets = json_object_get(entry, "data_offsets");
    json_int_t from = json_integer_value(json_array_get(offsets, 0));
    json_int_t to = json_integer_value(json_array_get(offsets, 1));

    if (json_array_size(offsets) != 2 || from < 0 || to < from)
        return -1;
    *end = (uint64_t)to;
    return 0;
}

static int check_length(json_t *header, const char *path, uint64_t data_bytes, struct err *err)
{
    uint64_t last = 0, end = 0;
    const char *name;
    json_t *entry;

    if (!json_is_object(header))
        return damaged(path, "its header is no JSON object", err);
    json_object_foreach(header, name, entry) {
        if (!strcmp(name, "__metadata__"))
            continue;
        if (tensor_end(entry, &end))
            return damaged(path, "a tensor has no valid data_offsets", err);
        last = end > last ? end : last;
    }
    if (last == data_bytes)
        return 0;
    return err_set(err, ERR_MISSING,
                   "'%.300s' is damaged: its header promises %llu bytes of tensors, the file has "
                   "%llu; it was cut or is still being written: copy it again",
                   path, (unsigned long long)last, (unsigned long long)data_bytes);
}

int safetensors_check(int fd, const char *path, uint64_t size, struct err *err)
{
    json_auto_t *header = NULL;
    autofree char *text = NULL;
    uint64_t n;

    if (size < LENGTH_BYTES)
        return damaged(path, "it is shorter than 8 bytes", err);
    if (read_exactly(fd, path, &n, sizeof n, 0, err))
        return -1;
    n = le64toh(n);
    if (n < 2 || n > HEADER_MAX_BYTES)
        return damaged(path, "its first 8 bytes give an impossible header length", err);
    if (n > size - LENGTH_BYTES)
        return err_set(
            err, ERR_MISSING,
            "'%.300s' is damaged: its header has %llu bytes, the whole file %llu; it was "
            "cut or is still being written: copy it again",
            path, (unsigned long long)n, (unsigned long long)size);
    text = xmalloc(n);
    if (read_exactly(fd, path, text, n, LENGTH_BYTES, err))
        return -1;
    const struct json_limits limits = {.depth = 16, .memory_bytes = 16 * n + 65536};
    if (json_parse(text, n, &limits, &header, err)) {
        err->kind = ERR_MISSING;
        return err_wrap(err, "'%.300s' has a damaged header", path);
    }
    return check_length(header, path, size - LENGTH_BYTES - n, err);
}
