/* SPDX-License-Identifier: Apache-2.0 */
#include "webhook/offline.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/file.h"
#include "common/strbuf.h"
#include "common/xalloc.h"
#include "webhook/admit.h"
#include "webhook/workload.h"
#include "webhook/yaml/yaml.h"

#define INPUT_MAX_BYTES (32 * 1024 * 1024)
#define OUTPUT_MAX_BYTES (256 * 1024 * 1024)

static const struct yaml_limits limits = {.depth = 64, .nodes = 1000 * 1000};

static const char *name_of(const json_t *object)
{
    const json_t *metadata = json_object_get(object, "metadata");
    const char *name = json_string_value(json_object_get(metadata, "name"));

    if (!name)
        name = json_string_value(json_object_get(metadata, "generateName"));
    return name ? name : "without a name";
}

/* The annotations count on the pod: on a Deployment itself they reach nobody. */
static void warn_misplaced(const struct workload *workload, const json_t *object,
                           const struct pod *pod)
{
    const struct pod outer = {.metadata = json_object_get(object, "metadata")};
    const char *type = pod_annotation(&outer, "ome.io/storage-type");

    if (*workload->template && type && !strcmp(type, "pvc") &&
        !pod_annotation(pod, "ome.io/storage-type"))
        (void)fprintf(
            stderr,
            "warning: %s '%s': ome.io/storage-type has no effect here; put the annotations "
            "under %s/metadata/annotations\n",
            workload->kind, name_of(object), workload->template);
}

/* 1 when the object was changed, 0 when not. */
static int inject_object(json_t *object, const struct config *config, struct err *err)
{
    decision_auto struct decision decision = {0};
    const struct workload *workload = workload_of(object);
    struct pod pod;

    if (!workload)
        return 0;
    if (workload_pod(workload, object, &pod, err))
        return err_wrap(err, "%s '%s'", workload->kind, name_of(object));
    warn_misplaced(workload, object, &pod);
    if (admit_pod(&pod, config, &decision, err) < 0)
        return err_wrap(err, "%s '%s'", workload->kind, name_of(object));
    for (size_t i = 0; i < decision.warnings.n; i++)
        (void)fprintf(stderr, "warning: %s '%s': %s\n", workload->kind, name_of(object),
                      decision.warnings.v[i]);
    return patch_size(&decision.patch) > 0;
}

/* An object, or the objects of a v1 List as `kubectl get -o yaml` prints them. */
static int inject_document(json_t *document, const struct config *config, struct err *err)
{
    const char *kind = json_string_value(json_object_get(document, "kind"));
    int changed = 0;
    size_t i;
    json_t *item;

    if (!kind || strcmp(kind, "List") != 0)
        return inject_object(document, config, err);
    json_array_foreach(json_object_get(document, "items"), i, item) {
        int rc = inject_object(item, config, err);
        if (rc < 0)
            return -1;
        changed |= rc;
    }
    return changed;
}

static int inject_stream(const char *name, const char *text, size_t len,
                         const struct config *config, struct strbuf *out, struct err *err)
{
    struct yaml_stream stream = YAML_STREAM(text, len);
    struct yaml_doc doc;

    while (yaml_next(&stream, &doc)) {
        json_auto_t *value = NULL;
        int rc = yaml_parse_document(&doc, name, &limits, &value, NULL, err);
        if (rc < 0)
            return -1;
        int changed = rc ? inject_document(value, config, err) : 0;
        if (changed < 0)
            return err_wrap(err, "%s:%zu", name, doc.line + 1);
        if (changed)
            yaml_write_document(out, &doc, value);
        else
            strbuf_add(out, doc.text, doc.len);
    }
    return out->overflow
               ? err_set(err, ERR_INPUT, "the result is larger than %d bytes", OUTPUT_MAX_BYTES)
               : 0;
}

int offline_inject(const struct options *options, const struct config *config, struct err *err)
{
    bool from_stdin = !strcmp(options->input, "-");
    const char *name = from_stdin ? "standard input" : options->input;
    strbuf_auto struct strbuf out = STRBUF_INIT(OUTPUT_MAX_BYTES);
    autofree char *text = NULL;
    size_t len = 0;

    int rc = from_stdin ? file_read_fd(STDIN_FILENO, name, INPUT_MAX_BYTES, &text, &len, err)
                        : file_read(AT_FDCWD, name, INPUT_MAX_BYTES, &text, &len, err);
    if (rc || inject_stream(name, text, len, config, &out, err))
        return -1;
    if (options->output)
        return file_replace_path(options->output, strbuf_text(&out), out.len, 0644, err);
    return file_write_all(STDOUT_FILENO, "standard output", strbuf_text(&out), out.len, err);
}
