/* SPDX-License-Identifier: Apache-2.0 */
/* Names that a source may bring, filters, and what a file's bytes are asked for in. */
#include "tests/unit/test.h"

#include "initc/manifest.h"
#include "initc/transfer.h"

static const struct digest none;

static int finish(struct manifest *m, const char *const *names, struct err *err)
{
    for (; *names; names++)
        if (manifest_add(m, *names, NULL, 1, &none, err))
            return -1;
    return manifest_finish(m, err);
}

static void files_are_sorted_by_path(void **state)
{
    (void)state;
    static const char *const names[] = {"b", "a/z", "B-c", "a-b", "a/c/d", NULL};
    static const char *const sorted[] = {"B-c", "a-b", "a/c/d", "a/z", "b"};
    manifest_auto struct manifest m = {0};
    struct err err = {0};

    assert_ok(finish(&m, names, &err), err);
    assert_int_equal(m.n, 5);
    assert_int_equal(m.bytes, 5);
    for (size_t i = 0; i < m.n; i++)
        assert_string_equal(m.files[i].path, sorted[i]);
}

static void names_in_each_others_way_are_refused_naming_both(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"a", "a"},         {"a", "A"},         {"a", "a/b"},     {"A", "a/b"},
        {"x/A/1", "x/a/2"}, {"X/b/1", "x/c/2"}, {"a/b", "a/b/c"},
    };

    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        /* with names that sort between them */
        const char *names[] = {pairs[i][1], "a-b", "a.b", "x-", pairs[i][0], "zz", NULL};
        manifest_auto struct manifest m = {0};
        struct err err = {0};
        assert_int_equal(finish(&m, names, &err), -1);
        assert_int_equal(err.kind, ERR_SOURCE);
        assert_has(err.msg, pairs[i][0]);
        assert_has(err.msg, pairs[i][1]);
    }
}

static void names_that_only_look_alike_are_accepted(void **state)
{
    (void)state;
    static const char *const names[] = {"ab", "a", "a-b/c", "b/ab", "a.b", "b/a", "aB/c", NULL};
    manifest_auto struct manifest m = {0};
    struct err err = {0};

    assert_int_equal(finish(&m, names, &err), -1); /* "ab" and "aB/c" */
    manifest_release(&m);
    static const char *const good[] = {"ab", "a", "a-b/c", "b/ab", "a.b", "b/a", "c/a/A", NULL};
    assert_ok(finish(&m, good, &err), err);
}

static void hostile_names_and_sizes_are_the_sources_fault(void **state)
{
    (void)state;
    static const char *const bad[] = {"../a", "/a",   "a//b", "",         ".modelberth",
                                      "a\n",  "a\\b", "a/..", "\xff\xfe", "a/\xc3\x28"};
    manifest_auto struct manifest m = {0};

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err err = {0};
        assert_int_equal(manifest_add(&m, bad[i], NULL, 1, &none, &err), -1);
        assert_int_equal(err.kind, ERR_SOURCE);
    }
    struct err err = {0};
    assert_int_equal(manifest_add(&m, "a", NULL, UINT64_MAX, &none, &err), -1);
    assert_ok(manifest_add(&m, "a", NULL, INT64_MAX, &none, &err), err);
    assert_int_equal(manifest_add(&m, "b", NULL, 1, &none, &err), -1);
    assert_has(err.msg, "impossible size");
    assert_int_equal(m.n, 1);
}

static void there_is_a_limit_to_files(void **state)
{
    (void)state;
    manifest_auto struct manifest m = {0};
    struct err err = {0};
    char name[32];

    for (int i = 0; i < MANIFEST_MAX_FILES; i++) {
        (void)snprintf(name, sizeof name, "%d", i);
        assert_ok(manifest_add(&m, name, NULL, 1, &none, &err), err);
    }
    assert_int_equal(manifest_add(&m, "more", NULL, 1, &none, &err), -1);
    assert_has(err.msg, "more than 100000 files");
}

static void filters_match_whole_paths_as_on_the_hub(void **state)
{
    (void)state;
    static const struct {
        const char *include, *exclude;
        const char *kept;
    } cases[] = {
        {"", "", "config.json model.safetensors original/a.json original/deep/b.bin "},
        {"*.json", "", "config.json original/a.json "},
        {"original/", "", "original/a.json original/deep/b.bin "},
        {"original/*", "*.bin", "original/a.json "},
        {"", "*", ""},
        {"CONFIG.json", "", ""},
        {"[cm]*", "", "config.json model.safetensors "},
    };
    static const char *const names[] = {"config.json", "model.safetensors", "original/a.json",
                                        "original/deep/b.bin", NULL};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        manifest_auto struct manifest m = {0};
        struct strlist include = {0}, exclude = {0};
        struct err err = {0};
        char kept[256] = "";
        assert_ok(finish(&m, names, &err), err);
        strlist_split(&include, cases[i].include);
        strlist_split(&exclude, cases[i].exclude);
        manifest_filter(&m, &include, &exclude);
        for (size_t j = 0; j < m.n; j++)
            (void)strcat(strcat(kept, m.files[j].path), " ");
        assert_string_equal(kept, cases[i].kept);
        assert_int_equal(m.bytes, m.n);
        strlist_release(&include);
        strlist_release(&exclude);
    }
}

static void ranges_cover_a_file_exactly_once(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {1, 9, 10, 11, 20, 25, 1000};

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (uint64_t begin = 0; begin < sizes[i]; begin++) {
            uint64_t at = begin, to = 0, steps = 0;
            while (at < sizes[i]) {
                transfer_next_range(at, sizes[i], 10, &to);
                assert_in_range(to, at, sizes[i] - 1);
                assert_in_range(to - at + 1, 1, 10);
                at = to + 1;
                steps++;
            }
            assert_int_equal(at, sizes[i]);
            assert_int_equal(steps, (sizes[i] - begin + 9) / 10);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_sorted_by_path),
        cmocka_unit_test(names_in_each_others_way_are_refused_naming_both),
        cmocka_unit_test(names_that_only_look_alike_are_accepted),
        cmocka_unit_test(hostile_names_and_sizes_are_the_sources_fault),
        cmocka_unit_test(there_is_a_limit_to_files),
        cmocka_unit_test(filters_match_whole_paths_as_on_the_hub),
        cmocka_unit_test(ranges_cover_a_file_exactly_once),
    };

    return cmocka_run_group_tests_name("manifest", tests, NULL, NULL);
}
