/* SPDX-License-Identifier: Apache-2.0 */
#include "structure.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/file.h"
#include "common/json.h"
#include "common/path.h"
#include "common/xalloc.h"
#include "dir.h"
#include "layout.h"

#define JSON_MAX_BYTES (32 * 1024 * 1024)

struct walk {
    int at_fd;
    struct job *job;
    size_t files;
    bool has_config;
    bool may_lack_config; /* GGUF carries its own, diffusers and original checkpoints have others */
};

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);

    return n >= m && !strcasecmp(text + n - m, end);
}

int structure_check_file(int fd, const char *path, struct err *err)
{
    struct stat st;

    if (fstat(fd, &st))
        return err_errno(err, errno, "cannot look at '%s'", path);
    if (!S_ISREG(st.st_mode))
        return err_set(err, ERR_MISSING, "'%.300s' is not a file", path);
    if (ends_with(path, ".safetensors"))
        return safetensors_check(fd, path, (uint64_t)st.st_size, err);
    if (ends_with(path, ".gguf"))
        return gguf_check(fd, path, (uint64_t)st.st_size, err);
    return 0;
}

/* An int that is -1 for a file that is missing, with *err. */
static int open_file(const struct walk *w, const char *path, struct err *err)
{
    int fd = dir_open_beneath(w->at_fd, path, O_RDONLY | O_NONBLOCK, 0);

    if (fd < 0 && errno == EXDEV)
        return err_set(err, ERR_MISSING,
                       "'%.300s' is a link that leaves the model's directory: a serving container "
                       "cannot follow it; copy the file there",
                       path);
    if (fd < 0 && errno == ENOENT)
        return err_set(err, ERR_MISSING, "'%.300s' is missing, or a link to what is", path);
    return fd < 0 ? err_errno(err, errno, "cannot open '%s'", path) : fd;
}

static int load_json(const struct walk *w, const char *path, json_t **out, struct err *err)
{
    autofree char *text = NULL;
    size_t len = 0;
    autoclose int fd = open_file(w, path, err);

    if (fd < 0 || file_read_fd(fd, path, JSON_MAX_BYTES, &text, &len, err))
        return -1;
    const struct json_limits limits = {.depth = 200, .memory_bytes = 16 * len + 65536};
    if (!json_parse(text, len, &limits, out, err))
        return 0;
    err->kind = ERR_MISSING;
    return err_wrap(err, "'%.300s' is damaged", path);
}

static int check_shard(const struct walk *w, const char *index, const char *shard, struct err *err)
{
    struct err unclean;
    const char *slash = strrchr(index, '/');
    autofree char *path = xasprintf("%.*s%s", slash ? (int)(slash - index) + 1 : 0, index, shard);

    if (path_check_relative("shard", shard, &unclean))
        return err_set(err, ERR_MISSING, "'%.200s' names a shard '%.200s' outside of the model",
                       index, shard);
    autoclose int fd = dir_open_beneath(w->at_fd, path, O_RDONLY | O_NONBLOCK, 0);
    if (fd >= 0)
        return 0;
    autofree char *there = dir_describe(w->at_fd);
    return err_set(err, ERR_MISSING,
                   "'%.200s' lists the shard '%.200s', which is missing; there is %s", index, path,
                   there);
}

static int check_index(const struct walk *w, const char *path, struct err *err)
{
    json_auto_t *index = NULL;
    json_t *map = NULL, *value;
    const char *tensor, *last = "";

    if (load_json(w, path, &index, err))
        return -1;
    map = json_object_get(index, "weight_map");
    if (!json_is_object(map))
        return 0; /* an index of something else */
    json_object_foreach(map, tensor, value) {
        const char *shard = json_string_value(value);
        if (!shard)
            return err_set(err, ERR_MISSING, "'%.300s' has a weight_map that names no files", path);
        if (strcmp(shard, last) != 0 && check_shard(w, path, shard, err))
            return -1;
        last = shard;
    }
    return 0;
}

/* The file behind a name, whatever it is; a link must lead to something in the model. */
static int check_content(const struct walk *w, const char *path, struct err *err)
{
    autoclose int fd = open_file(w, path, err);
    struct stat st;

    if (fd < 0)
        return -1;
    if (!fstat(fd, &st) && S_ISDIR(st.st_mode))
        return 0;
    return structure_check_file(fd, path, err);
}

static bool brings_its_own_config(const char *path)
{
    return ends_with(path, ".gguf") || !strcmp(path, "model_index.json") ||
           !strcmp(path, "params.json") || !strcmp(path, "adapter_config.json");
}

static bool is_ours(const char *path)
{
    return !strncmp(path, LAYOUT_STATE "/", sizeof LAYOUT_STATE) || !strcmp(path, LAYOUT_MARKER);
}

static int visit(void *context, const char *path, unsigned char type, struct err *err)
{
    struct walk *w = context;
    json_auto_t *config = NULL;

    if (job_check(w->job, err))
        return -1;
    if (type == DT_DIR || is_ours(path))
        return 0;
    w->files++;
    if (!strcmp(path, "config.json")) {
        w->has_config = true;
        return load_json(w, path, &config, err);
    }
    w->may_lack_config = w->may_lack_config || brings_its_own_config(path);
    if (ends_with(path, ".index.json"))
        return check_index(w, path, err);
    if (type == DT_LNK || ends_with(path, ".safetensors") || ends_with(path, ".gguf"))
        return check_content(w, path, err);
    return 0;
}

int structure_check(int at_fd, struct job *job, size_t *files, struct err *err)
{
    struct walk w = {.at_fd = at_fd, .job = job};

    progress_phase(job->progress, "checking the structure", 0, 0);
    if (dir_walk(at_fd, visit, &w, err))
        return -1;
    if (!w.has_config && !w.may_lack_config) {
        autofree char *there = dir_describe(at_fd);
        return err_set(
            err, ERR_MISSING,
            "this is no model directory: there is no 'config.json'; there is %s: correct "
            "the path, or set verify to off",
            there);
    }
    *files = w.files;
    return 0;
}
