/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GGUF: magic, version, counts, key-value pairs, tensor descriptions, then the tensors, aligned.
 * Their offsets come from the header; sizes follow from their types, where those are known here.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/xalloc.h"
#include "structure.h"

#define BUFFER_BYTES (256 * 1024)
#define COUNT_MAX (1ULL << 24)
#define STRING_MAX_BYTES (64ULL * 1024 * 1024)
#define DIMENSIONS_MAX 8
#define TYPE_STRING 8
#define TYPE_ARRAY 9
#define ALIGNMENT_DEFAULT 32

struct reader {
    int fd;
    uint64_t size, at; /* of the next byte */
    unsigned char *buffer;
    size_t have, used;
    uint64_t alignment;
};

/* Values of a block and its bytes, by ggml's type number; 0 where there is none. */
static const struct {
    uint16_t values, bytes;
} types[] = {
    {1, 4},    {1, 2},    {32, 18},  {32, 20},   {0, 0},     {0, 0},     {32, 22},   {32, 24},
    {32, 34},  {32, 36},  {256, 84}, {256, 110}, {256, 144}, {256, 176}, {256, 210}, {256, 292},
    {256, 66}, {256, 74}, {256, 98}, {256, 50},  {32, 18},   {256, 110}, {256, 82},  {256, 136},
    {1, 1},    {1, 2},    {1, 4},    {1, 8},     {1, 8},     {256, 56},  {1, 2},
};

/* Returns 0, or -1 at the end of the file or when it cannot be read. `out` may be NULL to skip. */
static int get(struct reader *r, void *out, uint64_t len)
{
    unsigned char *to = out;

    if (len > r->size - r->at)
        return -1;
    r->at += len;
    if (!to && len > r->have - r->used) {
        r->have = r->used = 0; /* skips by seeking: the next read is at r->at */
        return 0;
    }
    while (len) {
        if (r->used == r->have) {
            ssize_t n = pread(r->fd, r->buffer, BUFFER_BYTES, (off_t)(r->at - len));
            if (n < 0 && errno == EINTR)
                continue;
            if (n <= 0)
                return -1;
            r->have = (size_t)n;
            r->used = 0;
        }
        size_t some = r->have - r->used < len ? r->have - r->used : (size_t)len;
        if (to) {
            memcpy(to, r->buffer + r->used, some);
            to += some;
        }
        r->used += some;
        len -= some;
    }
    return 0;
}

static int get_number(struct reader *r, size_t bytes, uint64_t *out)
{
    unsigned char raw[8];

    if (get(r, raw, bytes))
        return -1;
    *out = 0;
    for (size_t i = bytes; i-- > 0;)
        *out = *out << 8 | raw[i];
    return 0;
}

static int skip_string(struct reader *r)
{
    uint64_t n;

    return get_number(r, 8, &n) || n > STRING_MAX_BYTES || get(r, NULL, n) ? -1 : 0;
}

static size_t value_bytes(uint64_t type)
{
    static const unsigned char sizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

    return type < sizeof sizes ? sizes[type] : 0;
}

static int skip_array(struct reader *r)
{
    uint64_t type, n;

    if (get_number(r, 4, &type) || get_number(r, 8, &n) || n > r->size)
        return -1;
    if (type == TYPE_STRING) {
        for (uint64_t i = 0; i < n; i++)
            if (skip_string(r))
                return -1;
        return 0;
    }
    size_t bytes = value_bytes(type);
    return !bytes || n > r->size / bytes || get(r, NULL, n * bytes) ? -1 : 0;
}

static int get_pair(struct reader *r)
{
    static const char alignment[] = "general.alignment";
    char key[sizeof alignment - 1] = {0};
    uint64_t n, type, value;

    if (get_number(r, 8, &n) || n > STRING_MAX_BYTES)
        return -1;
    bool is_alignment = n == sizeof key;
    if (get(r, is_alignment ? key : NULL, n) || get_number(r, 4, &type))
        return -1;
    is_alignment = is_alignment && !memcmp(key, alignment, sizeof key);
    if (type == TYPE_STRING)
        return skip_string(r);
    if (type == TYPE_ARRAY)
        return skip_array(r);
    size_t bytes = value_bytes(type);
    if (!bytes || get_number(r, bytes, &value))
        return -1;
    if (is_alignment && value && value <= 1 << 20 && !(value & (value - 1)))
        r->alignment = value;
    return 0;
}

/* The bytes of a tensor, 0 where its type is not known here. */
static uint64_t tensor_bytes(uint64_t type, uint64_t values)
{
    if (type >= sizeof types / sizeof *types || !types[type].values)
        return 0;
    return values / types[type].values * types[type].bytes;
}

/* Where the tensor ends, from the first tensor byte. */
static int get_tensor(struct reader *r, uint64_t *end)
{
    uint64_t dimensions, values = 1, n, type, offset;

    if (skip_string(r) || get_number(r, 4, &dimensions) || dimensions > DIMENSIONS_MAX)
        return -1;
    for (uint64_t i = 0; i < dimensions; i++)
        if (get_number(r, 8, &n) || __builtin_mul_overflow(values, n, &values) ||
            values > UINT64_MAX / 1024)
            return -1;
    if (get_number(r, 4, &type) || get_number(r, 8, &offset))
        return -1;
    return __builtin_add_overflow(offset, tensor_bytes(type, values), end) ? -1 : 0;
}

static int get_counts(struct reader *r, uint64_t *tensors, uint64_t *pairs)
{
    uint64_t version;
    char magic[4];

    if (get(r, magic, sizeof magic) || memcmp(magic, "GGUF", sizeof magic) != 0 ||
        get_number(r, 4, &version) || version < 2 || version > 3 || get_number(r, 8, tensors) ||
        get_number(r, 8, pairs))
        return -1;
    return *tensors > COUNT_MAX || *pairs > COUNT_MAX ? -1 : 0;
}

/* Returns 0 with the length that the header promises, -1 when it makes no sense. */
static int promised_length(struct reader *r, uint64_t *length)
{
    uint64_t tensors, pairs, end, last = 0;

    if (get_counts(r, &tensors, &pairs))
        return -1;
    for (uint64_t i = 0; i < pairs; i++)
        if (get_pair(r))
            return -1;
    for (uint64_t i = 0; i < tensors; i++) {
        if (get_tensor(r, &end))
            return -1;
        last = end > last ? end : last;
    }
    uint64_t data = (r->at + r->alignment - 1) & ~(r->alignment - 1);
    return __builtin_add_overflow(data, last, length) ? -1 : 0;
}

int gguf_check(int fd, const char *path, uint64_t size, struct err *err)
{
    autofree unsigned char *buffer = xmalloc(BUFFER_BYTES);
    struct reader r = {.fd = fd, .size = size, .buffer = buffer, .alignment = ALIGNMENT_DEFAULT};
    uint64_t length = 0;

    if (promised_length(&r, &length))
        return err_set(
            err, ERR_MISSING,
            "'%.300s' is no complete GGUF file: its header ends early or makes no sense; "
            "it was cut or is still being written: copy it again",
            path);
    if (length > size)
        return err_set(
            err, ERR_MISSING,
            "'%.300s' is damaged: its header promises %llu bytes, the file has %llu; it was "
            "cut or is still being written: copy it again",
            path, (unsigned long long)length, (unsigned long long)size);
    return 0;
}
