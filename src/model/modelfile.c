/* Model files: a fitted model on disk.
 *
 *   offset  bytes
 *        0      8  magic "RECMODEL"
 *        8      4  byte order mark 0x01020304, as the writing machine stores it
 *       12      4  format version, 1
 *       16      8  bytes of the whole file
 *       24      8  rows the store had ever recorded, at training
 *       32      8  time of training, Unix seconds, signed
 *       40      4  items the model knows
 *       44      4  n, the number of tensors, 0 .. 64
 *       48     64  version           texts: UTF-8 without control characters,
 *      112     40  database identity  ended by a NUL, the rest NUL too
 *      152     32  family
 *      184    512  parameters, "name=value name=value"
 *      696   1024  metrics, a JSON object or nothing
 *     1720   80 n  table of tensors, each
 *                    0  32  name, a text as above, unique in the file
 *                   32   4  type: 0 f32, 1 u32, 2 u64, 3 u8
 *                   36   4  zero
 *                   40   8  rows
 *                   48   8  cols
 *                   56   8  offset of the data from the start of the file
 *                   64   8  bytes of the data, rows x cols x size of the type
 *                   72   8  XXH3-64 of the data and the zeros after it
 *            0-63  zeros, so that what comes next ends on a multiple of 64
 *               8  XXH3-64 of everything before it
 *                  then for each tensor, in table order: data, row-major, and zeros up to the
 *                  next multiple of 64, where the next one starts; nothing after the last
 *
 * Numbers are in the byte order of the machine that wrote them; the mark tells a machine of the
 * other order to refuse. Offsets follow from the sizes; they are written for other readers' sake
 * and must be what they follow to be, so tensors cannot overlap or leave the file. Every byte is
 * under a checksum. XXH3 finds accidents, not attackers: whoever can write a model file can write
 * its checksums too. So everything read is checked as if it were hostile, here for what the format
 * says and in the family's open() for what the numbers mean.
 *
 * Loading maps the file, or reads it into one block where it cannot be mapped safely (mapping.c) or
 * is small; tensors point into it. Either way every checksum is compared before a model is made.
 * Saving writes PATH.tmp-PID, syncs it, renames it over PATH and syncs the folder: at
 * PATH there is always a whole model, the old or the new one. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "mapping.h"
#include "modelfile.h"
#include "tensors.h"

enum {
    ORDER_OTHER = 0x04030201,
    BLOCK_BYTES_MIN = 1024,     /* from here on rec_alloc_array aligns to 64 */
    MAPPED_BYTES_MIN = 1 << 20, /* less is read sooner than mapped and watched */
};

/* ---- shared with modelfile_save.c -------------------------------------------- */

size_t rec_modelfile_header_bytes(uint32_t tensors) {
    return (size_t)rec_modelfile_padded(sizeof(struct file_head) +
                                        tensors * sizeof(struct file_tensor) + sizeof(uint64_t));
}

uint64_t rec_modelfile_checksum(const struct file_header *header) {
    return XXH3_64bits(header->bytes, header->used - sizeof(uint64_t));
}

static bool text_is_clean(const char *field, size_t cap, size_t length_max) {
    const char *end = memchr(field, '\0', cap);
    if (end == NULL || (size_t)(end - field) > length_max)
        return false;
    size_t length = (size_t)(end - field);
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)field[i] < 0x20 || field[i] == 0x7f)
            return false;
    for (size_t i = length; i < cap; i++)
        if (field[i] != '\0')
            return false;
    return rec_text_utf8(field, length);
}

/* Versions become file names. */
static bool version_is_clean(const char *version) {
    for (const char *p = version; *p != '\0'; p++) {
        bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
                     (*p >= '0' && *p <= '9') || *p == '-' || *p == '_' || *p == '.';
        if (!plain)
            return false;
    }
    return version[0] != '.';
}

const char *rec_modelfile_unclean_field(const struct file_head *head) {
    if (!text_is_clean(head->version, sizeof(head->version), sizeof(head->version) - 1) ||
        !version_is_clean(head->version))
        return "version";
    if (!text_is_clean(head->database, sizeof(head->database),
                       sizeof(((struct rec_model_info *)0)->database) - 1))
        return "database identity";
    if (!text_is_clean(head->family, sizeof(head->family), sizeof(head->family) - 1))
        return "family";
    if (!text_is_clean(head->parameters, sizeof(head->parameters), sizeof(head->parameters) - 1))
        return "parameters";
    if (!text_is_clean(head->metrics, sizeof(head->metrics), sizeof(head->metrics) - 1))
        return "metrics";
    return NULL;
}

/* ---- loading --------------------------------------------------------------- */

/* The file being read, and where to say what is wrong with it. */
struct reader {
    const char *path;
    struct rec_error *err;
    int fd;
    uint64_t bytes; /* of the file, as the file system says */
};

static enum rec_status refuse(const struct reader *reader, enum rec_status status, const char *fmt,
                              ...) __attribute__((format(printf, 3, 4)));

static enum rec_status refuse(const struct reader *reader, enum rec_status status, const char *fmt,
                              ...) {
    char reason[sizeof(((struct rec_error *)0)->text)];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(reason, sizeof(reason), fmt, args);
    va_end(args);
    return rec_error_set(reader->err, status, "model file %.*s: %s", FILE_PATH_SHOWN, reader->path,
                         reason);
}

static enum rec_status open_file(struct reader *reader) {
    struct stat stat;
    /* O_NONBLOCK: opening a pipe must not wait for somebody to write to it. */
    reader->fd = open(reader->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (reader->fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return refuse(reader, REC_NOT_FOUND, "there is no such file");
    if (reader->fd < 0)
        return refuse(reader, REC_IO, "cannot open: %s", strerror(errno));
    if (fstat(reader->fd, &stat) != 0)
        return refuse(reader, REC_IO, "cannot stat: %s", strerror(errno));
    if (!S_ISREG(stat.st_mode))
        return refuse(reader, REC_CORRUPT, "not a model file but a %s",
                      S_ISDIR(stat.st_mode) ? "folder" : "device or pipe");
    reader->bytes = (uint64_t)stat.st_size;
    return REC_OK;
}

/* Exactly `bytes` from `offset` on. */
static enum rec_status read_all(const struct reader *reader, void *out, size_t bytes,
                                uint64_t offset) {
    unsigned char *p = out;
    while (bytes > 0) {
        ssize_t n = pread(reader->fd, p, bytes, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return refuse(reader, REC_IO, "cannot read at %llu: %s", (unsigned long long)offset,
                          strerror(errno));
        if (n == 0)
            return refuse(reader, REC_CORRUPT, "it became shorter while it was read: ends at %llu",
                          (unsigned long long)offset);
        p += n;
        offset += (uint64_t)n;
        bytes -= (size_t)n;
    }
    return REC_OK;
}

/* Magic, byte order, format and sizes: what must be right before a checksum can be looked for. */
static enum rec_status check_start(const struct reader *reader, const struct file_head *head) {
    if (reader->bytes < sizeof(head->magic) ||
        memcmp(head->magic, FILE_MAGIC, sizeof(head->magic)) != 0)
        return refuse(reader, REC_CORRUPT, "not a model file: it does not start with 'RECMODEL'");
    if (reader->bytes < sizeof(*head))
        return refuse(reader, REC_CORRUPT, "truncated: %llu bytes, the header alone has %zu",
                      (unsigned long long)reader->bytes, sizeof(*head));
    if (head->order == ORDER_OTHER)
        return refuse(reader, REC_CORRUPT,
                      "written on a machine of the other byte order; train on this one");
    if (head->order != FILE_ORDER)
        return refuse(reader, REC_CORRUPT, "header: byte order mark 0x%08x, expected 0x%08x",
                      head->order, (unsigned)FILE_ORDER);
    if (head->format != FILE_FORMAT)
        return refuse(reader, REC_CORRUPT,
                      "header: format version %u, this program reads version %d; %s", head->format,
                      FILE_FORMAT,
                      head->format > FILE_FORMAT ? "a newer recsysd wrote it: upgrade this one"
                                                 : "train again");
    if (head->bytes != reader->bytes)
        return refuse(reader, REC_CORRUPT, "%s: %llu bytes, the header says %llu",
                      reader->bytes < head->bytes ? "truncated" : "something is appended",
                      (unsigned long long)reader->bytes, (unsigned long long)head->bytes);
    if (head->tensors > REC_TENSORS_MAX)
        return refuse(reader, REC_CORRUPT, "header: %u tensors, the limit is %d", head->tensors,
                      REC_TENSORS_MAX);
    return REC_OK;
}

static enum rec_status read_header(const struct reader *reader, struct file_header *header) {
    struct file_head *head = &header->part.head;
    uint64_t checksum;
    memset(header, 0, sizeof(*header));
    size_t first = reader->bytes < sizeof(*head) ? (size_t)reader->bytes : sizeof(*head);
    enum rec_status st = read_all(reader, header->bytes, first, 0);
    if (st == REC_OK)
        st = check_start(reader, head);
    if (st != REC_OK)
        return st;

    header->used = rec_modelfile_header_bytes(head->tensors);
    if (reader->bytes < header->used)
        return refuse(reader, REC_CORRUPT, "truncated: %llu bytes, the header alone has %zu",
                      (unsigned long long)reader->bytes, header->used);
    st = read_all(reader, header->bytes + first, header->used - first, first);
    if (st != REC_OK)
        return st;
    memcpy(&checksum, header->bytes + header->used - sizeof(checksum), sizeof(checksum));
    if (checksum != rec_modelfile_checksum(header))
        return refuse(reader, REC_CORRUPT, "header: its checksum is %016llx, expected %016llx",
                      (unsigned long long)rec_modelfile_checksum(header),
                      (unsigned long long)checksum);
    const char *field = rec_modelfile_unclean_field(head);
    if (field != NULL)
        return refuse(reader, REC_CORRUPT, "header: the %s is not a clean text", field);
    if (head->items == 0 || head->items > REC_ITEMS_MAX)
        return refuse(reader, REC_CORRUPT, "header: %u items, expected 1 to %d", head->items,
                      REC_ITEMS_MAX);
    return REC_OK;
}

static enum rec_status check_row(const struct reader *reader, const struct file_header *header,
                                 size_t index, uint64_t offset) {
    const struct file_tensor *row = &header->part.table[index];
    size_t bytes;
    if (!text_is_clean(row->name, sizeof(row->name), sizeof(row->name) - 1) || row->name[0] == '\0')
        return refuse(reader, REC_CORRUPT, "tensor %zu: its name is not a clean text", index);
    for (size_t i = 0; i < index; i++)
        if (strcmp(header->part.table[i].name, row->name) == 0)
            return refuse(reader, REC_CORRUPT, "tensors %zu and %zu are both named '%s'", i, index,
                          row->name);
    if (row->type > REC_TENSOR_U8 || row->zero != 0)
        return refuse(reader, REC_CORRUPT, "tensor '%s': type %u.%u, expected 0 to %d", row->name,
                      row->type, row->zero, REC_TENSOR_U8);
    if (!rec_tensors_bytes((enum rec_tensor_type)row->type, row->rows, row->cols, &bytes) ||
        bytes != row->bytes)
        return refuse(reader, REC_CORRUPT, "tensor '%s': %llu bytes do not hold [%llu x %llu] %s",
                      row->name, (unsigned long long)row->bytes, (unsigned long long)row->rows,
                      (unsigned long long)row->cols,
                      rec_tensors_type_name((enum rec_tensor_type)row->type));
    if (row->offset != offset || bytes > reader->bytes - offset)
        return refuse(reader, REC_CORRUPT,
                      "tensor '%s': %zu bytes at %llu, expected at %llu in a file of %llu",
                      row->name, bytes, (unsigned long long)row->offset, (unsigned long long)offset,
                      (unsigned long long)reader->bytes);
    return REC_OK;
}

/* Each tensor begins where the one before it ends, so an offset within the file is an invariant
 * here and no sum can overflow. */
static enum rec_status check_table(const struct reader *reader, const struct file_header *header) {
    uint64_t offset = header->used;
    for (size_t i = 0; i < header->part.head.tensors; i++) {
        enum rec_status st = check_row(reader, header, i, offset);
        if (st != REC_OK)
            return st;
        offset += rec_modelfile_padded(header->part.table[i].bytes);
        if (offset > reader->bytes)
            return refuse(reader, REC_CORRUPT, "tensor '%s': the zeros after it are cut off",
                          header->part.table[i].name);
    }
    if (offset != reader->bytes)
        return refuse(reader, REC_CORRUPT, "%llu bytes, the tensors end at %llu",
                      (unsigned long long)reader->bytes, (unsigned long long)offset);
    return REC_OK;
}

static enum rec_status check_fits(const struct reader *reader, const struct file_head *head,
                                  const char *database, uint32_t catalogue_items) {
    if (database != NULL && strcmp(head->database, database) != 0)
        return refuse(reader, REC_CORRUPT,
                      "trained on the database '%s', this one is '%.40s'; train on this one",
                      head->database, database);
    if (catalogue_items != 0 && head->items > catalogue_items)
        return refuse(reader, REC_CORRUPT, "it knows %u items, the catalogue has %u", head->items,
                      catalogue_items);
    return REC_OK;
}

static void fill_info(const struct file_head *head, struct rec_model_info *info) {
    memset(info, 0, sizeof(*info));
    (void)snprintf(info->version, sizeof(info->version), "%s", head->version);
    (void)snprintf(info->database, sizeof(info->database), "%.32s", head->database);
    (void)snprintf(info->family, sizeof(info->family), "%s", head->family);
    (void)snprintf(info->parameters, sizeof(info->parameters), "%s", head->parameters);
    (void)snprintf(info->metrics, sizeof(info->metrics), "%s", head->metrics);
    info->items = head->items;
    info->recorded = head->recorded;
    info->trained_at = head->trained_at;
    info->bytes = head->bytes;
}

/* Everything but the tensors' data. */
static enum rec_status open_header(struct reader *reader, struct file_header *header) {
    enum rec_status st = open_file(reader);
    if (st == REC_OK)
        st = read_header(reader, header);
    if (st == REC_OK)
        st = check_table(reader, header);
    return st;
}

static void close_file(struct reader *reader) {
    if (reader->fd >= 0)
        (void)close(reader->fd);
    reader->fd = -1;
}

enum rec_status rec_modelfile_info(const char *path, struct rec_model_info *out,
                                   struct rec_error *err) {
    struct reader reader = {.path = path, .err = err, .fd = -1};
    struct file_header header;
    enum rec_status st = open_header(&reader, &header);
    if (st == REC_OK)
        fill_info(&header.part.head, out);
    close_file(&reader);
    return st;
}

/* Parameters a newer or older program of the same family does not have in the file keep their
 * defaults; one that this program does not know is refused. */
static enum rec_status read_params(const struct reader *reader, const struct rec_family *family,
                                   const char *text, struct rec_params *out) {
    struct rec_error reason = {.status = REC_OK};
    rec_params_defaults(family->params, family->param_count, out);
    if (rec_params_read(out, text, &reason) != REC_OK)
        return refuse(reader, REC_CORRUPT, "parameters: %s", reason.text);
    return REC_OK;
}

/* The tensors' bytes: mapped where that can be, else read into one block. */
static enum rec_status take_data(const struct reader *reader, const struct file_header *header,
                                 struct rec_tensors *out, const unsigned char **first) {
    size_t bytes = (size_t)(reader->bytes - header->used);
    if (reader->bytes >= MAPPED_BYTES_MIN)
        out->mapping = rec_mapping_create(reader->fd, (size_t)reader->bytes);
    if (out->mapping != NULL) {
        *first = rec_mapping_bytes(out->mapping) + header->used;
        return REC_OK;
    }
    unsigned char *block =
        rec_alloc_array(bytes < BLOCK_BYTES_MIN ? BLOCK_BYTES_MIN : bytes, sizeof(*block));
    if (block == NULL)
        return refuse(reader, REC_NO_MEMORY, "no memory for its %zu bytes", bytes);
    out->block = block;
    *first = block;
    return read_all(reader, block, bytes, header->used);
}

static enum rec_status read_tensors(const struct reader *reader, const struct file_header *header,
                                    struct rec_tensors *out) {
    const unsigned char *first = NULL;
    enum rec_status st = take_data(reader, header, out, &first);
    for (size_t i = 0; st == REC_OK && i < header->part.head.tensors; i++) {
        const struct file_tensor *row = &header->part.table[i];
        const unsigned char *data = first + (row->offset - header->used);
        uint64_t checksum = XXH3_64bits(data, (size_t)rec_modelfile_padded(row->bytes));
        if (checksum != row->checksum)
            st = refuse(reader, REC_CORRUPT,
                        "tensor '%s': its checksum is %016llx, expected %016llx", row->name,
                        (unsigned long long)checksum, (unsigned long long)row->checksum);
        struct rec_tensor *tensor = &out->tensor[out->count++];
        memcpy(tensor->name, row->name, sizeof(tensor->name));
        tensor->type = (enum rec_tensor_type)row->type;
        tensor->rows = row->rows;
        tensor->cols = row->cols;
        tensor->data = (void *)(uintptr_t)data; /* models are immutable */
    }
    if (st != REC_OK)
        rec_tensors_finish(out);
    return st;
}

static enum rec_status read_model(const struct reader *reader, const struct file_header *header,
                                  const struct rec_family *const *families,
                                  struct rec_model **out) {
    const struct file_head *head = &header->part.head;
    const struct rec_family *family = NULL;
    struct rec_tensors tensors = {.count = 0};
    struct rec_params params;
    struct rec_error reason = {.status = REC_OK};
    if (rec_family_find(families, head->family, &family, &reason) != REC_OK)
        return refuse(reader, REC_CORRUPT, "%s", reason.text);
    enum rec_status st = read_params(reader, family, head->parameters, &params);
    if (st == REC_OK)
        st = read_tensors(reader, header, &tensors);
    if (st != REC_OK)
        return st;
    st = rec_model_open(family, head->items, &params, &tensors, out, &reason);
    return st == REC_OK ? st : refuse(reader, st, "%s", reason.text);
}

enum rec_status rec_modelfile_load(const char *path, const struct rec_family *const *families,
                                   const char *database, uint32_t catalogue_items,
                                   struct rec_model **out, struct rec_model_info *info,
                                   struct rec_error *err) {
    struct reader reader = {.path = path, .err = err, .fd = -1};
    struct file_header header;
    enum rec_status st = open_header(&reader, &header);
    if (st == REC_OK)
        st = check_fits(&reader, &header.part.head, database, catalogue_items);
    if (st == REC_OK)
        st = read_model(&reader, &header, families, out);
    if (st == REC_OK && info != NULL)
        fill_info(&header.part.head, info);
    close_file(&reader);
    return st;
}
