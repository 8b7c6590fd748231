/* SPDX-License-Identifier: Apache-2.0 */
#include "remembered.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/file.h"
#include "common/json.h"
#include "source/credentials.h"

#define FILE_MAX_BYTES (16 * 1024)

static void file_name(const char *key, char out[static 80])
{
    (void)snprintf(out, 80, "%.40s.failed", key);
}

int remembered_check(int state_fd, const char *key, const char *credentials, struct err *err)
{
    static const struct json_limits limits = {.depth = 4, .memory_bytes = 256 * 1024};
    autofree char *text = NULL;
    json_auto_t *record = NULL;
    char name[80], stamp[33];
    struct err ignored;
    size_t len = 0;

    file_name(key, name);
    if (file_read(state_fd, name, FILE_MAX_BYTES, &text, &len, &ignored) ||
        json_parse(text, len, &limits, &record, &ignored))
        return 0;
    const char *then = json_string_value(json_object_get(record, "credentials"));
    const char *message = json_string_value(json_object_get(record, "message"));
    const char *kind = json_string_value(json_object_get(record, "kind"));
    int64_t age = (int64_t)time(NULL) - json_integer_value(json_object_get(record, "time"));

    credentials_stamp(credentials, stamp);
    if (!then || !message || !kind || strcmp(then, stamp) != 0 || age < 0 || age >= REMEMBERED_S)
        return 0;
    return err_set(err, !strcmp(kind, "content") ? ERR_INTEGRITY : ERR_SOURCE,
                   "%.850s (remembered from %lld s ago; asked again in %lld s, or at once when the "
                   "Secret changes)",
                   message, (long long)age, (long long)(REMEMBERED_S - age));
}

void remembered_store(int state_fd, const char *key, const char *credentials, const struct err *err)
{
    char name[80], stamp[33];
    struct err ignored;

    file_name(key, name);
    if (!err || (err->kind != ERR_INTEGRITY && err->kind != ERR_SOURCE)) {
        (void)unlinkat(state_fd, name, 0);
        return;
    }
    credentials_stamp(credentials, stamp);
    json_auto_t *record = json_pack("{s:i, s:s, s:o, s:I, s:s}", "v", 1, "kind",
                                    err->kind == ERR_INTEGRITY ? "content" : "source", "message",
                                    json_string_lossy(err->msg), "time", (json_int_t)time(NULL),
                                    "credentials", stamp);
    autofree char *text = json_text(record);
    (void)file_replace(state_fd, name, text, strlen(text), 0644, &ignored);
}
