/* SPDX-License-Identifier: Apache-2.0 */
#include "credentials.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "common/digest.h"
#include "common/file.h"
#include "common/strbuf.h"
#include "common/xalloc.h"

#define CREDENTIAL_MAX_BYTES (64 * 1024)
#define STAMP_MAX_BYTES (256 * 1024)

/* A header takes the value: a line break inside would smuggle another header. */
static int clean(char *text, const char *name, char **out, struct err *err)
{
    size_t n = strlen(text);

    while (n && isspace((unsigned char)text[n - 1]))
        n--;
    text[n] = '\0';
    while (isspace((unsigned char)*text))
        text++;
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return err_set(err, ERR_INPUT, "the credential in %s holds a control character", name);
    *out = *text ? xstrdup(text) : NULL;
    return 0;
}

int credentials_read_file(const char *path, char **out, struct err *err)
{
    autofree char *text = NULL;
    struct err problem;

    if (file_read(AT_FDCWD, path, CREDENTIAL_MAX_BYTES, &text, NULL, &problem)) {
        if (problem.kind == ERR_MISSING) {
            *out = NULL;
            return 0;
        }
        *err = problem;
        err->os_errno = 0; /* it is not about the volume */
        return err_wrap(err, "credentials");
    }
    return clean(text, path, out, err);
}

int credentials_get(const char *dir, const char *key, char **out, char **where, struct err *err)
{
    autofree char *path = *dir ? xasprintf("%s/%s", dir, key) : NULL;
    char *value = NULL;

    if (path && credentials_read_file(path, &value, err))
        return -1;
    if (value) {
        *out = value;
        *where = xasprintf("file '%s'", path);
        return 0;
    }
    autofree char *copy = getenv(key) ? xstrdup(getenv(key)) : NULL;
    if (copy && clean(copy, key, &value, err))
        return -1;
    *out = value;
    if (value || !path)
        *where = xasprintf("environment variable %s", key);
    else
        *where = xasprintf("file '%s'", path);
    return 0;
}

static void add_files(struct strbuf *b, const char *dir)
{
    DIR *d = *dir ? opendir(dir) : NULL;
    struct dirent *e;
    uint64_t sum = 0;

    if (!d)
        return;
    while ((e = readdir(d))) {
        struct stat st;
        struct digest one;
        uint64_t word;
        if (e->d_name[0] == '.' || fstatat(dirfd(d), e->d_name, &st, 0))
            continue;
        autofree char *line = xasprintf("%s %lld %lld.%09ld %llu", e->d_name, (long long)st.st_size,
                                        (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec,
                                        (unsigned long long)st.st_ino);
        digest_bytes(DIGEST_SHA256, line, strlen(line), &one);
        memcpy(&word, one.bytes, sizeof word);
        sum += word; /* in whatever order the directory gives them */
    }
    (void)closedir(d);
    strbuf_add(b, &sum, sizeof sum);
}

void credentials_stamp(const char *dir, char out[static 33])
{
    static const char *const variables[] = {"HF_TOKEN", "HF_ENDPOINT", "HF_TOKEN_PATH", "HF_HOME"};
    strbuf_auto struct strbuf b = STRBUF_INIT(STAMP_MAX_BYTES);
    struct digest d;
    char text[DIGEST_TEXT_BYTES];

    add_files(&b, dir);
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        const char *value = getenv(variables[i]);
        strbuf_addf(&b, "%s=%s\n", variables[i], value ? value : "");
    }
    digest_bytes(DIGEST_SHA256, strbuf_text(&b), b.len, &d);
    (void)digest_format(&d, text);
    memcpy(out, text + strlen("sha256:"), 32);
    out[32] = '\0';
    explicit_bzero(b.text, b.len);
}
