/* SPDX-License-Identifier: Apache-2.0 */
/* What stands in a lock file, and what a waiter concludes from it: pure. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "lock.h"

void lock_record_format(const struct lock_record *r, char out[static LOCK_RECORD_BYTES])
{
    json_auto_t *object =
        json_pack("{s:i, s:s, s:s, s:o, s:b, s:I, s:I, s:I, s:I, s:I}", "v", 1, "nonce", r->nonce,
                  "boot", r->boot, "host", json_string_lossy(r->host), "flock", r->flocked, "beats",
                  (json_int_t)r->beats, "bytesDone", (json_int_t)r->bytes_done, "bytesTotal",
                  (json_int_t)r->bytes_total, "filesDone", (json_int_t)r->files_done, "filesTotal",
                  (json_int_t)r->files_total);
    autofree char *text = json_text(object);
    size_t len = strlen(text);

    if (len > LOCK_RECORD_BYTES - 1)
        len = LOCK_RECORD_BYTES - 1;
    memset(out, ' ', LOCK_RECORD_BYTES);
    memcpy(out, text, len);
    out[LOCK_RECORD_BYTES - 1] = '\n';
}

static int copy_text(const json_t *object, const char *key, char *out, size_t size)
{
    const char *text = json_string_value(json_object_get(object, key));

    if (!text || strlen(text) >= size)
        return -1;
    memcpy(out, text, strlen(text) + 1);
    return 0;
}

static uint64_t number(const json_t *object, const char *key)
{
    json_int_t n = json_integer_value(json_object_get(object, key));

    return n > 0 ? (uint64_t)n : 0;
}

int lock_record_parse(const char *text, size_t len, struct lock_record *out)
{
    static const struct json_limits limits = {.depth = 4, .memory_bytes = 64 * 1024};
    struct lock_record r = {0};
    json_auto_t *object = NULL;
    struct err ignored;

    if (json_parse(text, len, &limits, &object, &ignored) || number(object, "v") != 1 ||
        copy_text(object, "nonce", r.nonce, sizeof r.nonce) ||
        copy_text(object, "boot", r.boot, sizeof r.boot) ||
        copy_text(object, "host", r.host, sizeof r.host))
        return -1;
    r.flocked = json_is_true(json_object_get(object, "flock"));
    r.beats = number(object, "beats");
    r.bytes_done = number(object, "bytesDone");
    r.bytes_total = number(object, "bytesTotal");
    r.files_done = number(object, "filesDone");
    r.files_total = number(object, "filesTotal");
    *out = r;
    return 0;
}

bool lock_watch_is_dead(struct lock_watch *w, uint64_t generation, const char *text, size_t len,
                        int64_t now_ms, int64_t timeout_ms)
{
    if (len > sizeof w->seen)
        len = sizeof w->seen;
    if (w->generation != generation || w->len != len || memcmp(w->seen, text, len) != 0) {
        w->generation = generation;
        w->len = len;
        memcpy(w->seen, text, len);
        w->since_ms = now_ms;
        return false;
    }
    return now_ms - w->since_ms >= timeout_ms;
}
