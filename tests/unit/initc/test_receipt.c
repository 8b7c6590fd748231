/* SPDX-License-Identifier: Apache-2.0 */
/* The proof in a directory: written, read, compared with what is asked; and what a key stands for.
 */
#include "tests/unit/test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "common/xalloc.h"
#include "initc/dir.h"
#include "initc/receipt.h"

static void fill(struct receipt *r, const char *version, const char *revision)
{
    struct err err = {0};
    struct digest d;

    r->source = xstrdup("hf://org/name");
    r->version = xstrdup(version);
    r->revision = xstrdup(revision);
    r->how = xstrdup("downloaded");
    r->tool = xstrdup("modelberth-initc 0");
    r->time = xstrdup("2026-01-02T03:04:05Z");
    digest_bytes(DIGEST_SHA256, "x", 1, &d);
    assert_ok(manifest_add(&r->files, "b/\xc3\xbc", NULL, 1, &d, &err), err);
    assert_ok(manifest_add(&r->files, "a", NULL, 0, &d, &err), err);
    r->files.files[0].mtime_s = 1700000000;
    r->files.files[1].unverified = true;
    assert_ok(manifest_finish(&r->files, &err), err);
}

static int temporary_directory(char path[static 32])
{
    (void)strcpy(path, "/tmp/receipt.XXXXXX");
    assert_non_null(mkdtemp(path));
    return open(path, O_RDONLY | O_DIRECTORY);
}

static void a_receipt_comes_back_as_it_was_written(void **state)
{
    (void)state;
    receipt_auto struct receipt in = {0}, out = {0};
    struct err err = {0};
    char path[32];
    autoclose int fd = temporary_directory(path);

    fill(&in, "main", "0123");
    strlist_add(&in.include, "*.json");
    assert_int_equal(receipt_load(fd, &out, &err), 0);
    assert_ok(receipt_store(fd, &in, &err), err);
    assert_int_equal(receipt_load(fd, &out, &err), 1);
    autofree char *a = receipt_format(&in);
    autofree char *b = receipt_format(&out);
    assert_string_equal(a, b);
    assert_string_equal(out.files.files[1].path, "b/\xc3\xbc");
    assert_int_equal(out.files.files[1].mtime_s, 1700000000);
    assert_int_equal(receipt_unverified(&out), 1);
    dir_remove(AT_FDCWD, path);
    assert_int_equal(access(path, F_OK), -1);
}

static void a_receipt_that_cannot_be_understood_is_an_error(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "{\"v\":2,\"files\":[]}",
        "{\"v\":1,\"files\":{}}",
        "{\"v\":1,\"files\":[1]}",
        "{\"v\":1,\"files\":[{\"path\":\"a\"}]}",
        "{\"v\":1,\"files\":[{\"path\":\"a\",\"size\":1,\"digest\":\"md5:00\"}]}",
        "{\"v\":1,\"source\":7}",
    };
    char path[32];
    autoclose int fd = temporary_directory(path);

    assert_int_equal(mkdirat(fd, ".modelberth", 0755), 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct receipt out = {.how = (char *)"untouched"};
        struct err err = {0};
        autoclose int file =
            openat(fd, ".modelberth/receipt.json", O_WRONLY | O_CREAT | O_TRUNC, 0644);
        assert_int_equal(write(file, bad[i], strlen(bad[i])), strlen(bad[i]));
        assert_int_equal(receipt_load(fd, &out, &err), -1);
        assert_int_equal(err.kind, ERR_MISSING);
        assert_string_equal(out.how, "untouched");
    }
    dir_remove(AT_FDCWD, path);
}

static void identify(struct identity *id, const char *source, const char *version,
                     const char *include, const char *name)
{
    struct plan_model model = {.source = (char *)source, .version = (char *)version};
    struct err err = {0};

    strlist_split(&model.include, include);
    assert_ok(identity_init(id, &model, name, &err), err);
    strlist_release(&model.include);
}

static void a_receipt_fits_what_was_asked_or_resolved(void **state)
{
    (void)state;
    static const char commit[] = "0123456789012345678901234567890123456789";
    static const struct {
        const char *source, *version, *include;
        bool fits;
    } cases[] = {
        {"hf://org/name@main", "", "", true},      {"hf://org/name:main", "", "", true},
        {"hf://org/name", "main", "", true},       {"hf://org/name", commit, "", true},
        {"hf://org/name", "", "", false},          {"hf://org/name@v1", "", "", false},
        {"hf://org/other@main", "", "", false},    {"hf://datasets/org/name@main", "", "", false},
        {"hf://org/name@main/dir", "", "", false}, {"hf://org/name@main", "", "*.json", false},
    };
    receipt_auto struct receipt r = {0};

    fill(&r, "main", commit);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        identity_auto struct identity id = {0};
        struct err err = {0};
        identify(&id, cases[i].source, cases[i].version, cases[i].include, "m");
        if (!receipt_check(&r, &id, &err) != cases[i].fits)
            fail_msg("%s %s", cases[i].source, cases[i].version);
        if (!cases[i].fits)
            assert_int_equal(err.kind, ERR_INTEGRITY);
    }
}

static void a_key_stands_for_source_version_filters_and_name(void **state)
{
    (void)state;
    static const struct {
        const char *source, *version, *include, *name;
        bool same;
    } cases[] = {
        {"hf://org/name:main", "", "b,a", "m", true},
        {"hf://org/name", "main", "a,b,a", "m", true},
        {"hf://org/name@main", "", "a", "m", false},
        {"hf://org/name@main", "", "a,b", "n", false},
        {"hf://org/name@mai", "", "a,b", "m", false},
        {"hf://org/names@main", "", "a,b", "m", false},
    };
    identity_auto struct identity first = {0};

    identify(&first, "hf://org/name@main", "", "a,b", "m");
    assert_int_equal(strlen(first.key), 32);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        identity_auto struct identity id = {0};
        identify(&id, cases[i].source, cases[i].version, cases[i].include, cases[i].name);
        assert_int_equal(!strcmp(id.key, first.key), cases[i].same);
    }
}

static void a_query_is_no_part_of_what_is_written(void **state)
{
    (void)state;
    identity_auto struct identity id = {0};

    identify(&id, "https://h/f.bin?signature=secret", "", "", "m");
    assert_string_equal(id.source, "https://h/f.bin");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_receipt_comes_back_as_it_was_written),
        cmocka_unit_test(a_receipt_that_cannot_be_understood_is_an_error),
        cmocka_unit_test(a_receipt_fits_what_was_asked_or_resolved),
        cmocka_unit_test(a_key_stands_for_source_version_filters_and_name),
        cmocka_unit_test(a_query_is_no_part_of_what_is_written),
    };

    json_setup();
    return cmocka_run_group_tests_name("receipt", tests, NULL, NULL);
}
