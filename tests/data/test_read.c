#include "record.h"

#define ALL "user=user,item=item,value=value,timestamp=time,type=type,event=event"
#define UIV "user=user,item=item,value=value"
#define UIT "user=user,item=item,timestamp=time"

/* Goal: CSV as RFC 4180 has it, and each way a row can be bad, named with line, column, reason.
 * `gives` is everything the reading hands over, bad rows included (all are skipped). */
static const struct {
    const char *name, *columns, *text, *gives;
} csv_cases[] = {
    {"plain", "user=user,item=item", "user,item\nu1,i1\nu2,i2\n",
     "u1 i1 view 1 1000000000\nu2 i2 view 1 1000000000\n"},
    {"no line end at the end", "user=user,item=item", "user,item\nu1,i1",
     "u1 i1 view 1 1000000000\n"},
    {"CRLF", "user=user,item=item", "user,item\r\nu1,i1\r\n", "u1 i1 view 1 1000000000\n"},
    {"CR at the very end", "user=user,item=item", "user,item\r\nu1,i1\r",
     "u1 i1 view 1 1000000000\n"},
    {"byte order mark", "user=user,item=item", "\xef\xbb\xbfuser,item\nu1,i1\n",
     "u1 i1 view 1 1000000000\n"},
    {"blank lines", "user=user,item=item", "user,item\n\nu1,i1\n\r\n\n",
     "u1 i1 view 1 1000000000\n"},
    {"columns in any order, others ignored", UIV, "x,value,item,user\n1,2.5,i1,u1\n",
     "u1 i1 rating 2.5 1000000000\n"},
    {"all columns", ALL,
     "user,item,value,time,type,event\nu1,i1,2,100,order,e1\nu1,i2,3,200,view,\n",
     "u1 i1 order 2 100 e1\nu1 i2 view 3 200\n"},
    {"quoted header", "user=the user,item=item", "\"the user\",item\nu1,i1\n",
     "u1 i1 view 1 1000000000\n"},
    {"quoted: comma, doubled quote, line end", "user=user,item=item",
     "user,item,note\nu1,\"a,b\",x\nu2,\"say \"\"hi\"\"\",\"two\nlines, \r\nor three\"\nu3,i3,\n",
     "u1 a,b view 1 1000000000\nu2 say \"hi\" view 1 1000000000\nu3 i3 view 1 1000000000\n"},
    {"quoted and empty", "user=user,item=item", "user,item,x\n\"u1\",\"i1\",\"\"\n",
     "u1 i1 view 1 1000000000\n"},
    {"a quote inside an unquoted field is a letter", "user=user,item=item",
     "user,item\nu1,7\" disc\nu2,i2\n", "u1 7\" disc view 1 1000000000\nu2 i2 view 1 1000000000\n"},
    {"text after a quote", "user=user,item=item", "user,item\nu1,\"i\"1\nu2,i2\n",
     "bad events.csv:2: text follows a closing quote\nu2 i2 view 1 1000000000\n"},
    {"a quote not closed costs one line", "user=user,item=item",
     "user,item\nu1,\"i1\nu2,i2\nu3,i3\n",
     "bad events.csv:2: a quote is not closed\nu2 i2 view 1 1000000000\nu3 i3 view 1 1000000000\n"},
    {"a quote not closed in the last line", "user=user,item=item", "user,item\nu1,i1\r\nu2,\"i2\r",
     "u1 i1 view 1 1000000000\nbad events.csv:3: a quote is not closed\n"},
    {"lines are counted through quoted line ends", "user=user,item=item",
     "user,item\nu1,\"a\nb\nc\"\n,i2\n",
     "bad events.csv:2: column item: id holds the control character 0x0a at byte 1\n"
     "bad events.csv:5: column user: id is empty\n"},
    {"too few columns", UIV, "user,item,value\nu1,i1\nu2,i2,1\n",
     "bad events.csv:2: 2 columns; the header has 3\nu2 i2 rating 1 1000000000\n"},
    {"too many columns", "user=user,item=item", "user,item\nu1,i1,x,y\n",
     "bad events.csv:2: 4 columns; the header has 2\n"},
    {"numbers", UIV,
     "user,item,value\na,i,0\na,i,-1.25\na,i,1e3\na,i,+2\na,i,.5\na,i,5.\n"
     "a,i,12345678901234567890\n",
     "a i rating 0 1000000000\na i rating -1.25 1000000000\na i rating 1000 1000000000\n"
     "a i rating 2 1000000000\na i rating 0.5 1000000000\na i rating 5 1000000000\n"
     "a i rating 1.23457e+19 1000000000\n"},
    {"no numbers", UIV,
     "user,item,value\na,i,abc\na,i,\na,i,nan\na,i,inf\na,i,1e999\na,i,0x10\na,i, 1\na,i,-\n"
     "a,i,1.2.3\na,i,.\n",
     "bad events.csv:2: column value: 'abc' is not a number\n"
     "bad events.csv:3: column value: is empty\n"
     "bad events.csv:4: column value: 'nan' is not a number\n"
     "bad events.csv:5: column value: 'inf' is not a number\n"
     "bad events.csv:6: column value: 1e999 is not within -1.79769e+308 and 1.79769e+308\n"
     "bad events.csv:7: column value: '0x10' is not a number\n"
     "bad events.csv:8: column value: ' 1' is not a number\n"
     "bad events.csv:9: column value: '-' is not a number\n"
     "bad events.csv:10: column value: '1.2.3' is not a number\n"
     "bad events.csv:11: column value: '.' is not a number\n"},
    {"times", UIT,
     "user,item,time\na,i,0\na,i,978300760\na,i,978300760.9\na,i,2001-01-01T00:00:00Z\n"
     "a,i,2001-01-01T02:00:00.5+02:00\na,i,2001-01-01 00:00:00\na,i,1000086400\n",
     "a i view 1 0\na i view 1 978300760\na i view 1 978300760\na i view 1 978307200\n"
     "a i view 1 978307200\na i view 1 978307200\na i view 1 1000086400\n"},
    {"no times", UIT,
     "user,item,time\na,i,\na,i,-1\na,i,1000086401\na,i,978300760000\na,i,soon\n"
     "a,i,2001-02-29 00:00:00\na,i,1999-12-31T23:59:59+00:00x\na,i,9999999999999999999\n"
     "a,i,1969-12-31T23:59:59Z\na,i,1e9\na,i,.5\n",
     "bad events.csv:2: column time: is empty\n"
     "bad events.csv:3: column time: -1 is before 1970\n"
     "bad events.csv:4: column time: 1000086401 is more than a day in the future\n"
     "bad events.csv:5: column time: 978300760000 is more than a day in the future (milliseconds? "
     "Unix seconds are expected)\n"
     "bad events.csv:6: column time: 'soon' is not a time: Unix seconds, RFC 3339 or 'YYYY-MM-DD "
     "HH:MM:SS'\n"
     "bad events.csv:7: column time: '2001-02-29 00:00:00' is not a time: Unix seconds, RFC 3339 "
     "or "
     "'YYYY-MM-DD HH:MM:SS'\n"
     "bad events.csv:8: column time: '1999-12-31T23:59:59+00:00x' is not a time: Unix seconds, RFC "
     "3339 or 'YYYY-MM-DD HH:MM:SS'\n"
     "bad events.csv:9: column time: '9999999999999999999' is not a time: Unix seconds, RFC 3339 "
     "or "
     "'YYYY-MM-DD HH:MM:SS'\n"
     "bad events.csv:10: column time: 1969-12-31T23:59:59Z is before 1970\n"
     "bad events.csv:11: column time: '1e9' is not a time: Unix seconds, RFC 3339 or 'YYYY-MM-DD "
     "HH:MM:SS'\n"
     "bad events.csv:12: column time: '.5' is not a time: Unix seconds, RFC 3339 or 'YYYY-MM-DD "
     "HH:MM:SS'\n"},
    {"ids", "user=user,item=item", "user,item\n\xc3\xa9,i\n\xe9,i\n,i\nu,\nu,a\tb\n",
     "\xc3\xa9 i view 1 1000000000\n"
     "bad events.csv:3: column user: id is not valid UTF-8\n"
     "bad events.csv:4: column user: id is empty\n"
     "bad events.csv:5: column item: id is empty\n"
     "bad events.csv:6: column item: id holds the control character 0x09 at byte 1\n"},
    {"types", "user=user,item=item,type=type",
     "user,item,type\na,i,view\na,i,\na,i,12345678901234567890123456789012\n"
     "a,i,123456789012345678901234567890123\na,i,\xff\n",
     "a i view 1 1000000000\n"
     "bad events.csv:3: column type: is empty\n"
     "a i 12345678901234567890123456789012 1 1000000000\n"
     "bad events.csv:5: column type: 33 bytes are over the limit of 32\n"
     "bad events.csv:6: column type: not valid UTF-8\n"},
    {"a message shows nothing that could upset a terminal", UIV,
     "user,item,value\na,i,\x1b[2J\na,i,\xff\xff\na,i,\xc3\xa9\n",
     "bad events.csv:2: column value: '?[2J' is not a number\n"
     "bad events.csv:3: column value: '?"
     "?' is not a number\n"
     "bad events.csv:4: column value: '\xc3\xa9' is not a number\n"},
};

static void test_csv(void **state) {
    (void)state;
    struct files files;
    struct record record;
    char path[128];
    files_init(&files);
    for (size_t i = 0; i < COUNT(csv_cases); i++) {
        const char *name = csv_cases[i].name;
        struct rec_error err = {0};
        files_write(&files, "events.csv", csv_cases[i].text, strlen(csv_cases[i].text));
        struct rec_read_options options =
            record_options(&record, REC_FORMAT_CSV, files_path(&files, "events.csv", path));
        options.columns = csv_cases[i].columns;
        options.skip_bad_max = 100;
        CHECK_ROW(rec_read(&options, &err) == REC_OK, name);
        if (!record_gives(&record, csv_cases[i].gives))
            fail_msg("row '%s' gives\n%s%s", name, record.text, record.bad);
        CHECK_ROW(record.bytes == strlen(csv_cases[i].text), name);
        CHECK_ROW(record.bytes_total == record.bytes, name);
    }
    files_finish(&files);
}

/* Goal: what makes a whole file unreadable says so, and hands nothing over. */
static const struct {
    const char *name, *columns, *text, *says;
} refused_cases[] = {
    {"empty file", "user=user,item=item", "", "events.csv: the file is empty"},
    {"missing column", "user=user,item=thing", "user,item\n",
     "events.csv:1: the header has no column 'thing'"},
    {"missing column, other separator", "user=user,item=thing", "user;thing;note\n",
     "events.csv:1: the header has no column 'user', only 'user;thing;note'; commas separate"},
    {"missing column, one near", "user=User,item=item", "user,item\n",
     "events.csv:1: the header has no column 'User'; did you mean 'user'?"},
    {"column twice", "user=user,item=item", "user,item,item\n",
     "events.csv:1: the header has two columns 'item'"},
    {"header not UTF-8", "user=user,item=item", "user,item,\xff\n", "events.csv:1: the header is"},
    {"header over two lines", "user=user,item=item", "user,item,\"a\nb\"\n",
     "events.csv:1: the header is"},
    {"header malformed", "user=user,item=item", "user,item,\"a\"b\n",
     "events.csv:1: the header is malformed"},
    {"first bad row stops", "user=user,item=item", "user,item\nu,i\nu\n",
     "events.csv:3: 1 columns; the header has 2"},
    {"no columns given", NULL, "user,item\n", "columns: CSV needs the names of its columns"},
    {"columns empty", "", "user,item\n", "columns: '' is not key=name"},
    {"columns without a name", "user=,item=item", "user,item\n",
     "columns: 'user=' is not key=name"},
    {"columns without '='", "user,item=item", "user,item\n", "columns: 'user' is not key=name"},
    {"columns with an unknown key", "user=user,item=item,rating=item", "user,item\n",
     "columns: 'rating' is none of user, item, value, timestamp, type, event"},
    {"columns with a key twice", "user=user,user=item", "user,item\n",
     "columns: 'user' is given twice"},
    {"columns without item", "user=user", "user,item\n", "columns: 'item' is missing"},
};

static void test_refused(void **state) {
    (void)state;
    struct files files;
    struct record record;
    char path[128];
    files_init(&files);
    for (size_t i = 0; i < COUNT(refused_cases); i++) {
        struct rec_error err = {0};
        files_write(&files, "events.csv", refused_cases[i].text, strlen(refused_cases[i].text));
        struct rec_read_options options =
            record_options(&record, REC_FORMAT_CSV, files_path(&files, "events.csv", path));
        options.columns = refused_cases[i].columns;
        CHECK_ROW(rec_read(&options, &err) == REC_BAD_INPUT, refused_cases[i].name);
        if (strstr(err.text, refused_cases[i].says) != err.text)
            fail_msg("row '%s' says '%s'", refused_cases[i].name, err.text);
        CHECK_ROW(record.rows == 0, refused_cases[i].name);
    }
    files_finish(&files);
}

/* Goal: bad rows are skipped up to the number asked for, and one more stops with its place. */
static void test_skip_bad(void **state) {
    (void)state;
    const char text[] = "user,item\n,i\nu,i\nu,\nu,j\n,k\n";
    struct files files;
    struct record record;
    struct rec_error err = {0};
    char path[128];
    files_init(&files);
    files_write(&files, "events.csv", text, strlen(text));
    struct rec_read_options options =
        record_options(&record, REC_FORMAT_CSV, files_path(&files, "events.csv", path));
    options.skip_bad_max = 3;
    assert_int_equal(rec_read(&options, NULL), REC_OK);
    assert_int_equal(record.rows, 2);

    options.skip_bad_max = 2;
    assert_int_equal(rec_read(&options, &err), REC_BAD_INPUT);
    assert_string_equal(err.text, "events.csv:6: column user: id is empty (more bad rows than the "
                                  "2 to be skipped)");
    options.bad = NULL;
    options.progress = NULL;
    options.skip_bad_max = 3;
    assert_int_equal(rec_read(&options, NULL), REC_OK);
    files_finish(&files);
}

/* Goal: a NUL byte ends nothing early: it is a fault wherever it is. */
static void test_nul(void **state) {
    (void)state;
    static const struct {
        const char *name, *row;
        size_t bytes;
        const char *says;
    } cases[] = {
        {"in an id", "u\0x,i,1,1\n", 10, "column user: id holds a NUL character"},
        {"in a number", "u,i,1\0,1\n", 9, "column value: a NUL character"},
        {"in a time", "u,i,1,1\0\n", 9, "column time: '1' is not a time"},
    };
    struct files files;
    struct record record;
    char path[128], text[64];
    files_init(&files);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct rec_error err = {0};
        size_t head = (size_t)snprintf(text, sizeof(text), "user,item,value,time\n");
        memcpy(text + head, cases[i].row, cases[i].bytes);
        files_write(&files, "events.csv", text, head + cases[i].bytes);
        struct rec_read_options options =
            record_options(&record, REC_FORMAT_CSV, files_path(&files, "events.csv", path));
        options.columns = "user=user,item=item,value=value,timestamp=time";
        CHECK_ROW(rec_read(&options, &err) == REC_BAD_INPUT, cases[i].name);
        CHECK_ROW(strstr(err.text, cases[i].says) != NULL, cases[i].name);
    }
    files_finish(&files);
}

/* Goal: the MovieLens folders, latest and 1M: titles, genres, Latin-1, and their bad rows. */
static const struct {
    const char *name;
    enum rec_format format;
    const char *movies, *ratings, *gives;
} movielens_cases[] = {
    {"latest", REC_FORMAT_MOVIELENS,
     "movieId,title,genres\r\n1,Toy Story (1995),Adventure|Children\r\n"
     "11,\"American President, The (1995)\",Comedy\r\n12,Ash,(no genres listed)\r\n13,,\r\n",
     "userId,movieId,rating,timestamp\r\n1,1,4.5,100\r\n2,11,0.5,200\r\n",
     "item 1 [Toy Story (1995)] {Adventure} {Children}\n"
     "item 11 [American President, The (1995)] {Comedy}\nitem 12 [Ash]\nitem 13 [NULL]\n"
     "1 1 rating 4.5 100\n2 11 rating 0.5 200\n"},
    {"latest, bad movies and ratings", REC_FORMAT_MOVIELENS,
     "movieId,title,genres\n,x,y\n1,\xff,y\n2,x,a||b\n3,x,|a\n4,x,a|\n",
     "userId,movieId,rating,timestamp\n1,1,five,100\n1,1,5,100\n",
     "bad movies.csv:2: column movieId: id is empty\n"
     "bad movies.csv:3: column title: not valid UTF-8\n"
     "bad movies.csv:4: column genres: an empty category\n"
     "bad movies.csv:5: column genres: an empty category\n"
     "bad movies.csv:6: column genres: an empty category\n"
     "bad ratings.csv:2: column rating: 'five' is not a number\n1 1 rating 5 100\n"},
    {"1M", REC_FORMAT_MOVIELENS_1M,
     "1::Toy Story (1995)::Animation|Comedy\n73::Mis\xe9rables, Les (1995)::Drama\n"
     "74::M: the \xc3\xa9t\xc3\xa9:: Drama\n",
     "1::1193::5::978300760\n1::661::3::978302109\n",
     "item 1 [Toy Story (1995)] {Animation} {Comedy}\n"
     "item 73 [Mis\xc3\xa9rables, Les (1995)] {Drama}\nitem 74 [M: the \xc3\xa9t\xc3\xa9] { "
     "Drama}\n"
     "1 1193 rating 5 978300760\n1 661 rating 3 978302109\n"},
    {"1M, bad lines", REC_FORMAT_MOVIELENS_1M, "1::x\n::x::y\n2::a::b::c::d::e\n",
     "1::2::3\n1::2::3::4::5\n::2::3::4\n1::2::x::4\n1::2::3::-4\n:::::::\n1:2:3:4\n\n",
     "bad movies.dat:1: 2 columns separated by '::'; 3 are expected\n"
     "bad movies.dat:2: column movie: id is empty\n"
     "bad movies.dat:3: 6 columns separated by '::'; 3 are expected\n"
     "bad ratings.dat:1: 3 columns separated by '::'; 4 are expected\n"
     "bad ratings.dat:2: 5 columns separated by '::'; 4 are expected\n"
     "bad ratings.dat:3: column user: id is empty\n"
     "bad ratings.dat:4: column rating: 'x' is not a number\n"
     "bad ratings.dat:5: column timestamp: -4 is before 1970\n"
     "bad ratings.dat:6: column user: id is empty\n"
     "bad ratings.dat:7: 1 columns separated by '::'; 4 are expected\n"},
};

static void write_movielens(const struct files *files, enum rec_format format, const char *movies,
                            const char *ratings) {
    bool csv = format == REC_FORMAT_MOVIELENS;
    files_write(files, csv ? "movies.csv" : "movies.dat", movies, strlen(movies));
    files_write(files, csv ? "ratings.csv" : "ratings.dat", ratings, strlen(ratings));
}

static void test_movielens(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(movielens_cases); i++) {
        struct files files;
        struct record record;
        files_init(&files);
        write_movielens(&files, movielens_cases[i].format, movielens_cases[i].movies,
                        movielens_cases[i].ratings);
        struct rec_read_options options =
            record_options(&record, movielens_cases[i].format, files.folder);
        options.skip_bad_max = 100;
        CHECK_ROW(rec_read(&options, NULL) == REC_OK, movielens_cases[i].name);
        if (!record_gives(&record, movielens_cases[i].gives))
            fail_msg("row '%s' gives\n%s%s", movielens_cases[i].name, record.text, record.bad);
        files_finish(&files);
    }
}

/* Goal: a path that cannot be read is named, with the reason; the catalogue is only needed where
 * it is wanted. */
static void test_paths(void **state) {
    (void)state;
    struct files files;
    struct record record;
    struct rec_error err = {0};
    char path[128];
    files_init(&files);
    struct rec_read_options options = record_options(&record, REC_FORMAT_CSV, "/nowhere/a.csv");
    assert_int_equal(rec_read(&options, &err), REC_IO);
    assert_string_equal(err.text, "cannot open /nowhere/a.csv: No such file or directory");

    err = (struct rec_error){0};
    options.path = files.folder;
    assert_int_equal(rec_read(&options, &err), REC_IO);
    assert_non_null(strstr(err.text, "Is a directory"));

    err = (struct rec_error){0};
    files_write(&files, "ratings.dat", "1::2::3::4\n", 11);
    options = record_options(&record, REC_FORMAT_MOVIELENS_1M, files.folder);
    assert_int_equal(rec_read(&options, &err), REC_IO);
    assert_non_null(strstr(err.text, "movies.dat: No such file"));
    options.items = NULL;
    assert_int_equal(rec_read(&options, NULL), REC_OK);
    assert_string_equal(record.text, "1 2 rating 3 4\n");

    err = (struct rec_error){0};
    files_write(&files, "ratings.dat", "", 0);
    assert_int_equal(rec_read(&options, &err), REC_BAD_INPUT);
    assert_string_equal(err.text, "ratings.dat: the file is empty");
    files_write(&files, "events.csv", "user,item\nu,i\n", 14);
    options = record_options(&record, REC_FORMAT_CSV, files_path(&files, "events.csv", path));
    options.default_type = "order";
    assert_int_equal(rec_read(&options, NULL), REC_OK);
    assert_string_equal(record.text, "u i order 1 1000000000\n");
    files_finish(&files);
}

static void test_formats(void **state) {
    (void)state;
    enum rec_format format;
    struct rec_error err = {0};
    assert_int_equal(rec_format_parse("movielens-1m", &format, NULL), REC_OK);
    assert_int_equal(format, REC_FORMAT_MOVIELENS_1M);
    assert_int_equal(rec_format_parse("ndjson", &format, NULL), REC_OK);
    assert_int_equal(format, REC_FORMAT_NDJSON);
    assert_int_equal(rec_format_parse("movilens", &format, &err), REC_BAD_INPUT);
    assert_non_null(strstr(err.text, "did you mean movielens?"));
}

/* "user item value", a stand-in for the JSON parser; its texts last until the next line. */
static enum rec_status parse_words(void *context, const char *line, size_t bytes,
                                   struct rec_interaction *out, struct rec_error *err) {
    static char user[32], item[32];
    double value;
    assert_int_equal(strlen(line), bytes);
    if (strcmp(line, "full") == 0)
        return rec_error_set(err, REC_NO_MEMORY, "no memory");
    if (sscanf(line, "%31s %31s %lf", user, item, &value) != 3)
        return rec_error_set(err, REC_BAD_INPUT, "%s: not three words", (const char *)context);
    out->user_id = user;
    out->item_id = item;
    out->type = "rating";
    out->value = value;
    return REC_OK;
}

/* Goal: the parser's texts are copied, its refusals are bad rows with their line, and other
 * failures stop. */
static void test_ndjson(void **state) {
    (void)state;
    static char parser[] = "words";
    const char text[] = "a b 1\n\n  \nc d\ne f 2";
    struct files files;
    struct record record;
    struct rec_error err = {0};
    char path[128];
    files_init(&files);
    files_write(&files, "events.ndjson", text, strlen(text));
    struct rec_read_options options =
        record_options(&record, REC_FORMAT_NDJSON, files_path(&files, "events.ndjson", path));
    options.skip_bad_max = 1;
    assert_int_equal(rec_read(&options, &err), REC_BAD_INPUT);
    assert_non_null(strstr(err.text, "no parser"));

    rec_read_set_ndjson(parse_words, parser);
    assert_int_equal(rec_read(&options, NULL), REC_OK);
    assert_true(record_gives(&record, "bad events.ndjson:4: words: not three words\n"
                                      "a b rating 1 1000000000\ne f rating 2 1000000000\n"));
    files_write(&files, "events.ndjson", "full\n", 5);
    assert_int_equal(rec_read(&options, NULL), REC_NO_MEMORY);
    rec_read_set_ndjson(NULL, NULL);
    files_finish(&files);
}

/* Goal: what the receiver says stops the reading and is what comes back. */
static enum rec_status refuse_rows(void *context, const struct rec_interaction *rows, size_t count,
                                   struct rec_error *err) {
    (void)context;
    (void)rows;
    return rec_error_set(err, REC_LIMIT, "%zu rows are too many", count);
}

static void test_receiver_refuses(void **state) {
    (void)state;
    struct files files;
    struct record record;
    struct rec_error err = {0};
    char path[128];
    files_init(&files);
    files_write(&files, "events.csv", "user,item\nu,i\n", 14);
    struct rec_read_options options =
        record_options(&record, REC_FORMAT_CSV, files_path(&files, "events.csv", path));
    options.rows = refuse_rows;
    options.progress = NULL;
    assert_int_equal(rec_read(&options, &err), REC_LIMIT);
    assert_string_equal(err.text, "1 rows are too many");
    files_finish(&files);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_csv),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_skip_bad),
        cmocka_unit_test(test_nul),
        cmocka_unit_test(test_movielens),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_ndjson),
        cmocka_unit_test(test_receiver_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
